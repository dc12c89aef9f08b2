// The side of the server that leads: hands the run to the others, waits for them, and tells them its word.
import { basename } from "node:path";
import type { App, NamedApp } from "../contracts/app.ts";
import type { AppType, Runtime } from "../contracts/app-type.ts";
import { parseEnv } from "../config/env.ts";
import { readEnvFile } from "../config/env-file.ts";
import { DpError, EXIT, type ExitName } from "../errors.ts";
import type { Io } from "../host/io.ts";
import { within } from "../host/within.ts";
import type { Group, Kind } from "../pipeline/facts.ts";
import { load } from "../pipeline/run-file.ts";
import { appOfRun } from "../release/app.ts";
import { runFile } from "../release/history.ts";
import { settingsText } from "../release/settings.ts";
import { ask } from "./ask.ts";
import { dependenciesIn, notesOf, offerOf, type Part } from "./built.ts";
import { sendCommit } from "./commit.ts";
import { keepLines, linesOf, openLine, type Ended, type Line } from "./line.ts";
import { LANGUAGE, readFit, type Order, type ToldOf, type Word } from "./messages.ts";
import { sendPart } from "./send.ts";
import { CUT, reasonIn } from "./ssh.ts";

/** How long a server may take to go back before this one ends without it, in ms. */
const PATIENCE = 120_000;
/** The same for its answer to "keep". */
const ANSWER = 10_000;

/** The run as the others get it. */
export interface Handed {
  id: string;
  kind: Kind;
  sha: string;
  subject: string;
  by: string;
  group: Group;
  /** The release's folder; of a rollback, that of the release which it goes back to. */
  release: string;
  runtime: Runtime;
  type: AppType;
}

/** Hands the run to all others at once. Throws DpError when one does not take it; the lines are kept for the undo. */
export async function handOut(app: App, run: Handed, io: Io): Promise<readonly Line[]> {
  const names = Object.keys(run.group.peers);
  const { sha, group } = run;
  if (run.kind === "deploy")
    await Promise.all(names.map((name) => sendCommit(app, sha, { name, ...group.peers[name]! }, io)));
  const asked = await askedOf(app, run.id);
  const built = await Promise.all(names.map((name) => sendBuilt(app, name, run, io)));
  const order = (name: string, at: number) => ({ ...orderFor(name, run, asked), built: built[at] ?? null });
  const lines = names.map((name, at) => openLine(name, group.peers[name]!.address, app.name, order(name, at)));
  keepLines(run.id, lines);
  await allAre("begun", app.name, run.id, io);
  return lines;
}

/** Sends what was built here to a server on which it runs as it is; null: it is built there. */
async function sendBuilt(app: App, name: string, run: Handed, io: Io): Promise<Order["built"]> {
  const { kind, id, type, group, release, runtime } = run;
  // An image is the engine's, and no folder.
  if (kind !== "deploy" || type.builtElsewhere !== undefined) return null;
  const { address } = group.peers[name]!;
  const offer = JSON.stringify(await offerOf(app, runtime, io));
  const answer = await ask(address, ["peer", "fits", app.name], { stdin: new Blob([`${offer}\n`]), signal: io.signal });
  const fit = answer.code === 0 ? readFit(answer.stdout.trim()) : null;
  const why = fit === null ? reasonIn(answer.stderr, answer.code) : fit.why;
  if (fit === null || why !== null) {
    io.warn(`${name} builds it itself: ${why}`);
    return null;
  }
  const dependencies = dependenciesIn(runtime, type.store?.(app.places.base));
  const send = (part: Part, folder: string) => sendPart(app, { part, folder, id, name, address }, io);
  await send("release", release);
  if (dependencies !== null && !fit.hasDependencies) await send("dependencies", dependencies);
  return { runtime, notes: await notesOf(dependencies) };
}

type Asked = Pick<Order, "reason" | "changes" | "withEnv">;

/** What a restart or rollback is to do with the settings. Each server has its own, so they get what differs. */
async function askedOf(named: NamedApp, id: string): Promise<Asked> {
  const run = await load(runFile(named, id));
  const app = await appOfRun(run);
  const { kind, envBefore, reason = "" } = run.facts;
  const brought = typeof envBefore === "string" ? await settingsText(named, id) : null;
  const isRestart = kind === "restart";
  const changes = isRestart && brought !== null ? await differing(app, brought, id) : null;
  return { reason: String(reason).slice(0, 400), changes, withEnv: !isRestart && brought !== null };
}

/** Setting -> its new value, or null where it is removed. */
async function differing({ places, server }: App, text: string, id: string): Promise<Record<string, string | null>> {
  const before = await readEnvFile(places.base, server.env);
  const after = parseEnv(text, `the settings of ${id}`);
  const gone = Object.keys(before).filter((name) => !Object.hasOwn(after, name));
  const set = Object.entries(after).filter(([name, value]) => before[name] !== value);
  return Object.fromEntries([...gone.map((name) => [name, null] as const), ...set]);
}

/** The order for one of them. */
function orderFor(
  name: string,
  { id, kind, sha, subject, by, group, release }: Handed,
  asked: Asked,
): Omit<Order, "built"> {
  const { lead, roles } = group;
  const run = { v: LANGUAGE, id, kind, sha, subject: subject.slice(0, 400), by: by.slice(0, 200) } as const;
  return { ...run, name, lead, roles, to: kind === "rollback" ? basename(release) : null, ...asked };
}

type Stage = "begun" | "ready" | "proven";

/** Waits until all others have come so far. Throws DpError with the end of the first that has failed instead. */
export async function allAre<K extends Stage>(
  stage: K,
  app: string,
  id: string,
  io: Io,
): Promise<(ToldOf<K> & { name: string; took: number })[]> {
  const lines = linesOf(id);
  if (lines === null)
    throw new DpError("command", "the other servers have gone back: they do so when the process of a deploy ends", {
      hint: `dp deploy ${app}, which begins anew`,
    });
  const each = lines.map(async (line) => {
    const told = await line.until(stage);
    if (told === null) throw failure(line, await line.ended);
    return { ...told, name: line.name };
  });
  const stop = Promise.withResolvers<never>();
  const abort = () => stop.reject(io.signal.reason as Error);
  io.signal.addEventListener("abort", abort, { once: true });
  if (io.signal.aborted) abort();
  try {
    return await Promise.race([Promise.all(each), stop.promise]);
  } finally {
    io.signal.removeEventListener("abort", abort);
  }
}

/** What ended the part of a server, as the error of the whole deploy. */
function failure({ name, log }: Line, { code, error, step }: Ended): DpError {
  const what = error ?? `it ended with exit code ${code}`;
  const lines = log().filter((line) => /^ {2}[|!→]/.test(line));
  return new DpError(exitNamed(code), `${name}${step === null ? "" : `, at ${step}`}: ${what}`, {
    lines: lines.slice(-25).map((line) => placed(line, name).replace(/^ {2}\| /, "")),
  });
}

/** A hint of another server with the name of it: typed on the one that leads, `dp env` changes the setting of all. */
const placed = (line: string, name: string) =>
  /^ {2}→ .*\bdp [a-z]/.test(line) ? line.replace("→ ", `→ on ${name}: `) : line;

const NAMES: Partial<Record<number, ExitName>> = Object.fromEntries(
  (["config", "locked", "command", "unhealthy", "host", "stuck"] as const).map((name) => [EXIT[name], name]),
);

// Nothing that happened there leaves this server without a way.
function exitNamed(code: number): ExitName {
  const name = NAMES[code] ?? (code === CUT ? "host" : "command");
  return name === "stuck" ? "command" : name;
}

/** Tells all others a word. */
export function tellAll(id: string, word: Word): void {
  for (const line of linesOf(id) ?? []) line.say(word);
}

/** Tells all others that the release stays; answers those from which nothing was heard of that, with the reason. */
export async function keepAll(id: string, group: Group): Promise<[name: string, why: string][]> {
  const lines = linesOf(id);
  if (lines === null) return Object.keys(group.peers).map((name) => [name, "the process of the deploy had ended"]);
  tellAll(id, "keep");
  const answers = lines.map(async (line): Promise<[string, string][]> => {
    const told = await within(ANSWER, line.until("kept"));
    if (told !== null) return [];
    const end = await within(0, line.ended);
    return [[line.name, end?.error ?? "it does not answer"]];
  });
  return (await Promise.all(answers)).flat();
}

/** Calls all others back, and waits until they have gone back; one that cannot be asked does it by itself. */
export async function callBack(app: string, lines: readonly Line[], io: Io): Promise<void> {
  for (const line of lines) line.say("back");
  await Promise.all(
    lines.map(async (line) => {
      const end = await within(PATIENCE, line.ended);
      if (end === null || end.code === CUT)
        io.warn(`${line.name}: ${end?.error ?? "no answer"}; it goes back by itself: dp fleet sync ${app} makes sure`);
      else if (end.code === EXIT.ok)
        io.warn(`${line.name} has kept ${end.live ?? "its release"}: dp fleet sync ${app} brings it in line`);
      else if (end.code === EXIT.stuck) io.warn(`${line.name} could not go back: ${end.error}; see dp status there`);
      line.close();
    }),
  );
}
