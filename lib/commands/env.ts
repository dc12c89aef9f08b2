// `dp env`: the app's settings, shown masked; a change must survive a restart before it is saved.
import { join } from "node:path";
import { formatValue, isName, nameProblem, parseEnv } from "../config/env.ts";
import { editEnv, type EnvChange } from "../config/env-edit.ts";
import { envFile, envStamp, envText, readEnvFile, writeEnvFile } from "../config/env-file.ts";
import { DpError, EXIT, messageOf } from "../errors.ts";
import { readText } from "../host/files.ts";
import { waitForLock } from "../host/lock.ts";
import { requireUnlocked } from "../deploy/hand-lock.ts";
import type { App } from "../contracts/app.ts";
import { appType } from "../registry.ts";
import { openApp } from "../release/app.ts";
import { factsOfRelease } from "../release/instance.ts";
import { placeOf } from "../release/place.ts";
import { say } from "../text/say.ts";
import { didYouMean } from "../text/suggestion.ts";
import { quoted } from "../text/text.ts";
import type { Ended } from "../deploy/launch.ts";
import { restartWith, type RestartOptions } from "./restart.ts";
import { quiet } from "../deploy/queue.ts";

/** The settings of an app, in the order of the file. Throws DpError "config" when the env file is wrong. */
export async function listEnv(name: string): Promise<Record<string, string>> {
  const { places, server } = await openApp(name);
  return readEnvFile(places.base, server.env);
}

/** The value of one setting. Throws DpError "usage" when it is not set. */
export async function getEnv(app: string, name: string): Promise<string> {
  const settings = await listEnv(app);
  if (Object.hasOwn(settings, name)) return settings[name]!;
  throw notSet(app, [name], settings);
}

function notSet(app: string, names: readonly string[], settings: Record<string, string>): DpError {
  const known = Object.keys(settings);
  const near = didYouMean(names[0]!, known);
  const words = names.map((name) => quoted(name)).join(", ");
  return new DpError("usage", `${words} ${names.length === 1 ? "is" : "are"} not set`, {
    hint: `dp env ${app}`,
    ...near,
  });
}

/** Settings as words, `NAME=value`; a bare NAME takes its value from `read`. Throws DpError "usage". */
export async function assignments(
  words: readonly string[],
  read: (name: string) => Promise<string>,
): Promise<EnvChange> {
  if (words.length === 0) throw new DpError("usage", "which settings? NAME=value, or NAME and its value on stdin");
  const bare = words.filter((word) => !word.includes("="));
  if (bare.length > 1 && !process.stdin.isTTY)
    throw new DpError("usage", `stdin holds one value, and ${bare.length} names without "=" want one each`);
  const change: Record<string, string> = {};
  for (const word of words) {
    const [name, value] = word.includes("=") ? splitAt(word, word.indexOf("=")) : [word, null];
    if (Object.hasOwn(change, name)) throw new DpError("usage", `${quoted(name)} is named twice`);
    // A word without a valid name may be a value, typed after a space, so it is not shown.
    if (!isName(name)) throw new DpError("usage", `the name before the = ${nameProblem(name)}`);
    const problem = nameProblem(name);
    if (value === null && problem !== null) throw new DpError("usage", `${name} ${problem}`);
    change[name] = value ?? (await read(name));
  }
  return change;
}

const splitAt = (text: string, at: number): [string, string] => [text.slice(0, at), text.slice(at + 1)];

/**
 * The settings from a file, or from stdin without one: all of them are set. Throws DpError "config" with every problem.
 */
export async function importedFrom(file: string | null): Promise<EnvChange> {
  const text = file === null ? await Bun.stdin.text() : await readText(file);
  if (text === null) throw new DpError("usage", `there is no file ${file}`);
  return parseEnv(text, file ?? "stdin");
}

/** Options of a change. */
export interface ChangeOptions extends RestartOptions {
  /** False: the next deploy or restart uses it. */
  restart: boolean;
}

export interface EnvChanged {
  app: string;
  /** The names, never the values. */
  set: string[];
  unset: string[];
  file: string;
  /** The restart that proved it; null: it was not wanted, nothing is live, or nothing differs. */
  restart: Ended | null;
}

/** Removes settings. Throws DpError "usage" when one is not set. */
export async function unsetEnv(app: string, names: readonly string[], options: ChangeOptions): Promise<EnvChanged> {
  if (names.length === 0) throw new DpError("usage", "name the settings");
  const settings = await listEnv(app);
  const unknown = names.filter((name) => !Object.hasOwn(settings, name));
  if (unknown.length > 0) throw notSet(app, unknown, settings);
  return changeEnv(app, Object.fromEntries(names.map((name) => [name, null])), options);
}

/**
 * Changes settings, all or none. The live release is restarted with them, and they are saved only when that is healthy.
 * Throws DpError "usage" for invalid names and values, "config" when the env file is wrong, "locked" when somebody has
 * locked the app.
 */
export async function changeEnv(name: string, change: EnvChange, options: ChangeOptions): Promise<EnvChanged> {
  const app = await openApp(name);
  const { base } = app.places;
  const { env } = app.server;
  requireUnlocked(app);
  requireAllowed(name, change);
  if (!options.restart && options.without !== undefined)
    throw new DpError("usage", "--no-restart changes this server alone: there is nobody to leave out");
  const file = envFile(base, env);
  const nothing = () => undefined;
  const lock = await waitForLock(join(base, "env.lock"), nothing, () =>
    say("dp: waiting for another change of the settings"),
  );
  try {
    // Without a live release there is nothing to restart, and the first deploy may hang for want of this very setting.
    if (options.restart && (await app.live()) !== null) await quiet(app);
    const stamp = await envStamp(base, env);
    const before = await envText(base, env);
    const text = editEnv(before, change, file);
    const known = parseEnv(before, file);
    const differing = Object.keys(change).filter((name) => change[name] !== (known[name] ?? null));
    const set = differing.filter((name) => change[name] !== null);
    const unset = differing.filter((name) => change[name] === null);
    const changed = { app: name, set, unset, file, restart: null };
    if (differing.length === 0) return changed;
    if (options.restart && (await app.live()) !== null) {
      const restart = await restartWith(name, reasonOf(set, unset), { text, stamp }, options);
      if (restart.code === EXIT.ok && options.without !== undefined)
        say(`dp: not changed on ${options.without.join(", ")}: dp env ${name} there, too`);
      const note = restart.code === EXIT.ok ? await buildNote(app) : null;
      if (note !== null) say(`dp: ${note}`);
      return { ...changed, restart };
    }
    await writeEnvFile(base, env, text);
    return changed;
  } finally {
    lock.release();
  }
}

/** What a build makes of the change, which a restart does not repeat; null: nothing was built. */
async function buildNote(app: App): Promise<string | null> {
  const live = await app.live();
  if (live === null) return null;
  const facts = await factsOfRelease(app, live);
  const type = await appType(facts.config.type);
  const isBuilt = facts.config.build !== undefined || (await type.hasBuild?.(placeOf(facts, {})));
  if (!isBuilt) return null;
  return type.takesSettingsAtBuild
    ? `a site takes settings when it is built: dp deploy ${app.name}`
    : `the build saw the old settings: if it reads them, dp deploy ${app.name} builds again`;
}

const reasonOf = (set: readonly string[], unset: readonly string[]) =>
  [set.length > 0 ? `set ${set.join(", ")}` : "", unset.length > 0 ? `unset ${unset.join(", ")}` : ""]
    .filter((part) => part !== "")
    .join("; ");

function requireAllowed(app: string, change: EnvChange): void {
  const problems: string[] = [];
  for (const [name, value] of Object.entries(change)) {
    try {
      if (value !== null) formatValue(name, value);
    } catch (error) {
      problems.push(messageOf(error));
    }
  }
  if (problems.length === 0) return;
  const hint = "PORT" in change ? { hint: `dp setup ${app} --port N` } : {};
  if (problems.length === 1) throw new DpError("usage", problems[0]!, hint);
  throw new DpError("usage", "these cannot be set, and nothing was", { lines: problems, ...hint });
}
