// What must be on the disk before what, checked over the system calls of a deploy: a power cut may come at any of them.
import { dirname, join } from "node:path";
import type { Call } from "../support/strace.ts";

const RENAMES = ["rename", "renameat", "renameat2"];
/** What a power cut may undo: the calls that change names. */
const EFFECTS = [...RENAMES, "symlink", "symlinkat", "mkdir", "unlink"];
const SYNCS = ["fsync", "fdatasync"];
/** Whether that is the spec or the state of a process under the builtin manager. */
export const isOfProcess = (path: string) => /\/instances\/\d+-[0-9a-f]{7}[^/]*\.json(\.tmp\.[\d.]+)?$/.test(path);

/** Where things are. */
export interface Grounds {
  /** The app's base. */
  base: string;
  /** Folders besides it whose files dp trusts after a restart. */
  others: readonly string[];
}

/** Everything in the calls that a power cut could make half of, one sentence each. */
export function durabilityComplaints(calls: readonly Call[], grounds: Grounds): string[] {
  return [...calls.entries()].flatMap(([at, call]) => {
    if (!RENAMES.includes(call.name)) return isLostLink(call, grounds) ? [`${call.paths[0]} was removed`] : [];
    const [from = "", to = ""] = call.paths;
    if (!isState(to, grounds)) return [];
    const complaints: string[] = [];
    if (!isContentSynced(calls, at, from)) complaints.push(`${to} was renamed before its content was on the disk`);
    if (!isFolderSynced(calls, at, dirname(to))) complaints.push(`${to} was renamed, and its folder not synced then`);
    if (to === join(grounds.base, "current") && !isTreeSynced(calls, at, grounds))
      complaints.push(`${to} was switched before its release was on the disk`);
    return complaints;
  });
}

/** Files of dp's own: not the commit's files, and not the app's, and no record of a process, which is of no use after a boot. */
function isState(path: string, { base, others }: Grounds): boolean {
  const ofApp = ["releases", "home", "shared", "venvs"].map((name) => join(base, name, "/"));
  if (dirname(path) === join(base, "instances") && isOfProcess(path)) return false;
  return (
    [base, ...others].some((folder) => path.startsWith(`${folder}/`)) && !ofApp.some((own) => path.startsWith(own))
  );
}

const isLostLink = ({ name, paths }: Call, { base }: Grounds) =>
  name === "unlink" && paths[0] === join(base, "current");

// A link has no content of its own; a file that was not made here was synced by whoever made it.
function isContentSynced(calls: readonly Call[], at: number, file: string): boolean {
  const made = calls.slice(0, at).findLastIndex((call) => call.creates && call.paths.includes(file));
  return made < 0 || calls.slice(made, at).some((call) => SYNCS.includes(call.name) && call.paths.includes(file));
}

// Before whoever renamed it does the next thing.
function isFolderSynced(calls: readonly Call[], at: number, folder: string): boolean {
  const after = calls.slice(at + 1);
  const next = after.findIndex((call) => call.task === calls[at]!.task && EFFECTS.includes(call.name));
  const meanwhile = next < 0 ? after : after.slice(0, next);
  return meanwhile.some((call) => SYNCS.includes(call.name) && call.paths.includes(folder));
}

// The release of a restart is a link: it is there when its folder is.
function isTreeSynced(calls: readonly Call[], at: number, { base }: Grounds): boolean {
  const releases = join(base, "releases");
  const before = calls.slice(0, at);
  const made = ({ creates, name, paths }: Call) =>
    creates || (EFFECTS.includes(name) && name !== "unlink") ? (paths.at(-1) ?? "") : "";
  const last = before.findLastIndex((call) => made(call).startsWith(`${releases}/`));
  if (last < 0) return true;
  const isLink = dirname(made(before[last]!)) === releases;
  return before
    .slice(last)
    .some(({ name, paths: [path = ""] }) =>
      name === "syncfs" ? path.startsWith(base) : isLink && SYNCS.includes(name) && path === releases,
    );
}
