// `dp doctor`: what is wrong with the server and its apps, or soon will be, with the command that repairs each.
import { audit, resultOf } from "../host/audit.ts";
import type { Check, Finding } from "../contracts/check.ts";
import { DpError, EXIT, messageOf } from "../errors.ts";
import { makeIo, silentLog } from "../host/io.ts";
import { checks } from "../registry.ts";
import { holder } from "../release/history.ts";
import { openApp } from "../release/app.ts";
import { namedApp } from "../release/named-app.ts";
import { knownApp, mistakeOf, type Known } from "../release/known-app.ts";
import { lockNow } from "../deploy/queue.ts";
import { run } from "../host/run.ts";
import { SELF, selfEnv } from "../host/self.ts";
import { appNames } from "../config/server.ts";
import { loginEnv, who } from "../host/who.ts";

/** A finding, and the app that it belongs to. */
export interface Found extends Finding {
  /** Null: the server as a whole. */
  app: string | null;
  check: string;
}

export interface Diagnosis {
  /** The apps that were checked. */
  apps: string[];
  found: Found[];
  /** The repairs of `--fix`, one sentence each. */
  fixed: string[];
}

const io = makeIo(silentLog);

/** Checks one app, or the server and all apps. Throws DpError "usage" when there is no such app. */
export async function examine(app: string | undefined): Promise<Omit<Diagnosis, "fixed">> {
  if (app !== undefined && !(await appNames()).includes(app)) await openApp(app);
  const apps = app === undefined ? await appNames() : [app];
  const all = await checks();
  const server = app === undefined ? all.map(([name, check]) => foundBy(null, name, () => check.server?.(io))) : [];
  const found = await Promise.all([...server, ...apps.map((name) => examineApp(name, all))]);
  return { apps, found: forAll(found.flat()) };
}

/** What `dp reconcile` mends in several apps, or in front of them all, has one cause: the command names none of them. */
function forAll(found: readonly Found[]): Found[] {
  const isMended = ({ severity, fix }: Found) => severity === "error" && Array.isArray(fix) && fix[0] === "reconcile";
  const places = new Set(found.filter(isMended).map(({ app }) => app));
  if (places.size < 2) return [...found];
  return found.map((each) => (isMended(each) ? { ...each, command: "dp reconcile" } : each));
}

async function examineApp(name: string, all: readonly [string, Check][]): Promise<Found[]> {
  const config = { app: name, check: "config", severity: "error" } as const;
  const command = `editor ${namedApp(name).places.config}`;
  let known: Known;
  try {
    known = await knownApp(name);
  } catch (error) {
    if (!(error instanceof DpError)) throw error;
    const cure = error.exit === "config" ? command : (error.hint ?? `dp setup ${name}`);
    return [{ ...config, what: mistakeOf(error), command: cure }];
  }
  const { app } = known;
  const isBusy = holder(app) !== null;
  const due = all.filter(([, { atRest }]) => !(isBusy && atRest));
  const found = await Promise.all(due.map(([check, { app: look }]) => foundBy(name, check, () => look?.(app, io))));
  return [...(known.mistake === null ? [] : [{ ...config, what: known.mistake, command }]), ...found.flat()];
}

/** A check that fails with an error gives a finding as well. */
async function foundBy(
  app: string | null,
  check: string,
  look: () => Promise<Finding[]> | undefined,
): Promise<Found[]> {
  try {
    return ((await look()) ?? []).map((finding) => ({ app, check, ...finding }));
  } catch (error) {
    if (!(error instanceof DpError)) throw error;
    const command = error.hint ?? `dp status ${app ?? ""}`.trim();
    return [{ app, check, severity: "error", what: messageOf(error), command }];
  }
}

/** A repair, done or tried: one sentence, and the exit code. */
interface Mended {
  app: string | null;
  what: string;
  code: number;
}

/**
 * Checks, makes the safe repairs, and checks again; each repair gets one sentence, in the audit log as well. `warn`
 * gets a message when the audit log cannot be written.
 */
export async function mend(app: string | undefined, warn: (message: string) => void): Promise<Diagnosis> {
  const { found } = await examine(app);
  const mended: Mended[] = [];
  try {
    // Left-over files first: another command of dp may stumble over them.
    for (const { app: name, fix } of found)
      if (typeof fix === "function") mended.push({ app: name, what: await fixOne(name, fix), code: EXIT.ok });
    const commands = found.flatMap(({ app: name, fix }) => (Array.isArray(fix) ? [{ name, words: fix }] : []));
    for (const { name, words } of new Map(commands.map((each) => [each.words.join(" "), each])).values())
      mended.push({ app: name, ...(await runSelf(words)) });
  } finally {
    note(mended, warn);
  }
  return { ...(await examine(app)), fixed: mended.map(({ what }) => what) };
}

// Repairs of the whole server belong to no app: their commands write lines of their own.
function note(mended: readonly Mended[], warn: (message: string) => void): void {
  for (const [app, all] of Map.groupBy(mended, (each) => each.app)) {
    if (app === null) continue;
    const code = all.find((each) => each.code !== EXIT.ok)?.code ?? EXIT.ok;
    const detail = all.map(({ what }) => what).join("; ");
    audit({ app, what: "doctor", detail, ...who(), result: resultOf(code), code }, warn);
  }
}

async function fixOne(app: string | null, fix: () => Promise<string>): Promise<string> {
  const lock = app === null ? null : await lockNow(namedApp(app), "dp doctor");
  try {
    return await fix();
  } finally {
    lock?.release();
  }
}

async function runSelf(words: readonly string[]): Promise<Omit<Mended, "app">> {
  const env = { ...selfEnv(), ...loginEnv() };
  const { code } = await run([...SELF, ...words], { env, check: false, timeout: 600_000 });
  const command = `dp ${words.join(" ")}`;
  return { what: code === 0 ? `did: ${command}` : `${command} exited with code ${code}, see its output`, code };
}

/** The exit code of a diagnosis: only errors count. */
export const codeOf = ({ found }: Diagnosis): number =>
  found.some(({ severity }) => severity === "error") ? EXIT.unhealthy : EXIT.ok;

/** A diagnosis for people. */
export function doctorLines({ apps, found, fixed }: Diagnosis, isWhole: boolean): string[] {
  const lines = fixed.map((what) => `fixed: ${what}`);
  const names = [...(isWhole ? [null] : []), ...apps];
  for (const name of names) {
    const own = found.filter(({ app }) => app === name);
    if (own.length === 0) continue;
    lines.push(name ?? "the server");
    for (const { severity, check, what, command } of own)
      lines.push(`  ${severity.padEnd(8)} ${check}: ${what}`, `           → ${command}`);
  }
  const looked = [...(isWhole ? ["the server"] : []), ...apps].join(", ");
  const wrong = found.filter(({ severity }) => severity !== "note");
  const none = isWhole && apps.length === 0 ? "; no app is set up on this machine" : "";
  if (wrong.length === 0) return [...lines, `nothing wrong: ${looked}${none}`];
  const safe = wrong.filter(({ fix }) => fix !== undefined).length;
  return [
    ...lines,
    ...(safe > 0
      ? [`${safe} of ${wrong.length} can be mended with: dp doctor ${isWhole ? "" : `${apps[0]} `}--fix`]
      : []),
  ];
}
