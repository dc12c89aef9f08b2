// What comes for a run before there is one: archives and commits. It is kept while the disk has room, and for an hour.
import { closeSync, existsSync, lstatSync, openSync, writeSync } from "node:fs";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { App, NamedApp } from "../contracts/app.ts";
import { DpError } from "../errors.ts";
import { git } from "../git/git.ts";
import { freeRoom } from "../host/disk.ts";
import { namesIn, removeFile } from "../host/files.ts";
import { isReleaseId } from "../text/ids.ts";
import { runFile } from "./history.ts";
import { roomFor } from "./room.ts";

/** How long it may wait for its run, in ms. */
const PATIENCE = 60 * 60_000;
/** Bytes between two looks at the disk. */
const OFTEN = 32 * 1024 ** 2;

/** The folder of what was handed over; only dp may enter it. */
export const arrivalsOf = ({ places }: NamedApp) => join(places.base, "promoted");

/** The ref that keeps a commit between its arrival and its run. */
export const arrivedRef = (sha: string) => `refs/dp/promoted-${sha}`;

/** The note of dp's own that there is such a ref: each deploy looks for old ones, and starts no git when there are none. */
const NOTE = /^([0-9a-f]{40}|[0-9a-f]{64})\.commit$/;
const noteOf = (app: NamedApp, sha: string) => join(arrivalsOf(app), `${sha}.commit`);

/** Makes the folder of what is handed over, if need be; answers its path. */
export async function makeArrivals(app: NamedApp): Promise<string> {
  const folder = arrivalsOf(app);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  return folder;
}

/** Notes that a commit arrives, before it gets its ref. */
export async function noteCommit(app: NamedApp, sha: string): Promise<void> {
  await makeArrivals(app);
  await writeFile(noteOf(app, sha), "", { mode: 0o600 });
}

/** Removes the ref of a commit that arrived: its run has one of its own, or there will be none. */
export async function forgetCommit(app: NamedApp, sha: string): Promise<void> {
  const { code } = await git(app.places.repo, ["update-ref", "-d", arrivedRef(sha)], { check: false });
  if (code === 0) await removeFile(noteOf(app, sha));
}

/** Whether a file that has come is older than any run would leave it; one that is not there is old, too. */
export const isOld = (path: string): boolean =>
  Date.now() - (lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) > PATIENCE;

/** Whether the disk has less left than `least`, in bytes. */
export const isScarce = async (app: NamedApp, least: number): Promise<boolean> =>
  (await freeRoom(app.places.base)).bytes < least;

/** Keeps what a stream has in a file of dp's. Throws DpError "host" when the disk fills up; the file is removed then. */
export async function keepArchive(app: App, path: string, stream: ReadableStream<Uint8Array>): Promise<void> {
  const { bytes: least } = await roomFor(app);
  const file = openSync(path, "w", 0o600);
  let since = OFTEN;
  try {
    for await (const chunk of stream) {
      since += chunk.length;
      if (since > OFTEN && (await isScarce(app, least)))
        throw new DpError("host", "the disk has no room for the files and for a deploy", {
          hint: `df -h ${app.places.base}`,
        });
      if (since > OFTEN) since = 0;
      for (let at = 0; at < chunk.length;) at += writeSync(file, chunk, at);
    }
  } catch (error) {
    await removeFile(path);
    throw error;
  } finally {
    closeSync(file);
  }
}

/** Removes the commits and the parts of built releases that no run came for. */
export async function forgetArrived(app: NamedApp): Promise<void> {
  const { runs } = app.places;
  for (const name of await namesIn(arrivalsOf(app))) {
    const sha = NOTE.exec(name)?.[1];
    if (sha !== undefined && isOld(noteOf(app, sha))) await forgetCommit(app, sha);
  }
  for (const name of await namesIn(runs)) {
    const [id = "", , end] = name.split(".");
    if (end === "tar" && isReleaseId(id) && !existsSync(runFile(app, id)) && isOld(join(runs, name)))
      await removeFile(join(runs, name));
  }
}
