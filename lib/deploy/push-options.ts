// The options of a push, `git push -o NAME`: git gives them to pre-receive and post-receive, but the gate needs them,
// too.
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { isAppName } from "../paths.ts";
import { waitTime } from "../config/duration.ts";
import { DpError } from "../errors.ts";
import { readText, removeFile, writeFileAtomic } from "../host/files.ts";
import { isAlive } from "../host/process/process.ts";

const OPTIONS = ["skip-hooks", "dry-run"] as const;

/** Option -> whether it was given; how long the push may wait for its turn, in ms; and the servers that it leaves out. */
export type PushOptions = Record<(typeof OPTIONS)[number], boolean> & { wait?: number; without?: string[] };

const WITHOUT = "without=";

/** The servers that an option leaves out: `without=c`, `without=b,c`; none for another option. */
function leftOut(option: string): string[] {
  const names = option.startsWith(WITHOUT) ? option.slice(WITHOUT.length).split(",") : [];
  return names.every(isAppName) ? names : [];
}

/** Parses options as they were given. Throws DpError "usage" for one that dp does not know. */
export function parseOptions(given: readonly string[]): PushOptions {
  const waits = given.map((option) => (option.startsWith("wait=") ? waitTime(option.slice("wait=".length)) : null));
  const isKnown = (option: string, at: number) =>
    (OPTIONS as readonly string[]).includes(option) || waits[at] !== null || leftOut(option).length > 0;
  const unknown = given.find((option, at) => !isKnown(option, at));
  if (unknown !== undefined) {
    const known = [...OPTIONS, "wait=30s", "without=SERVER"].join(", ");
    throw new DpError("usage", `unknown push option ${JSON.stringify(unknown)}; dp knows ${known}`);
  }
  const wait = waits.findLast((time) => time !== null);
  const without = given.flatMap(leftOut);
  return {
    "skip-hooks": given.includes("skip-hooks"),
    "dry-run": given.includes("dry-run"),
    ...(typeof wait === "number" ? { wait } : {}),
    ...(without.length > 0 ? { without } : {}),
  };
}

function given(env: NodeJS.ProcessEnv): string[] {
  const count = Number(env["GIT_PUSH_OPTION_COUNT"] ?? 0);
  return Array.from({ length: count }, (_, index) => env[`GIT_PUSH_OPTION_${index}`] ?? "");
}

/** The options of this push, from git's environment; throws DpError "usage" for one that dp does not know. */
export const pushOptions = (env: NodeJS.ProcessEnv): PushOptions => parseOptions(given(env));

/** The git process that runs this hook: all hooks of one push are children of the same receive-pack. */
export const receiverPid = (): number => Number(process.env["DP_RECEIVER"]) || process.ppid;

const folderOf = (repo: string) => join(repo, "dp-push-options");
const fileOf = (repo: string) => join(folderOf(repo), String(receiverPid()));

/** For pre-receive: keeps the options for `update`, which git starts without them. Throws as pushOptions does. */
export async function notePushOptions(repo: string, env: NodeJS.ProcessEnv): Promise<void> {
  pushOptions(env);
  await mkdir(folderOf(repo), { recursive: true, mode: 0o700 });
  for (const pid of await readdir(folderOf(repo)))
    if (!isAlive(Number.parseInt(pid))) await removeFile(join(folderOf(repo), pid));
  // Written even when there are none: pids are reused, and an earlier push may have left its note.
  await writeFileAtomic(fileOf(repo), JSON.stringify(given(env)));
}

/** For `update`: the options that pre-receive noted; none when there was no such hook. */
export async function notedPushOptions(repo: string): Promise<PushOptions> {
  const text = await readText(fileOf(repo));
  return parseOptions(text === null ? [] : (JSON.parse(text) as string[]));
}
