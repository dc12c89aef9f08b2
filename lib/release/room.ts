// The disk space that a deploy needs: twice what a recent one used that had to build.
import type { App, NamedApp } from "../contracts/app.ts";
import { factOf, load } from "../pipeline/run-file.ts";
import { DpError } from "../errors.ts";
import { fact } from "../pipeline/facts.ts";
import type { Room } from "../host/disk.ts";
import { sizeText } from "../config/size.ts";
import { runFile, runIds } from "./history.ts";

/** Without any earlier deploy: the files of a small app, its run file and logs, and a reserve. */
const LEAST: Room = { bytes: 100 * 1024 ** 2, files: 2_000 };
/** How many runs count, newest first: one that changed nothing used next to nothing. */
const LATELY = 5;

/** The space that each of the newest deploys used, where known. */
async function takenLately(app: NamedApp): Promise<Room[]> {
  const ids = (await runIds(app)).slice(-LATELY);
  const taken = ids.map(async (id) => {
    try {
      const run = await load(runFile(app, id));
      return "taken" in run.facts ? factOf(run, "taken", fact.taken) : null;
    } catch (error) {
      if (error instanceof DpError) return null; // A damaged record counts for nothing
      throw error;
    }
  });
  return (await Promise.all(taken)).filter((room) => room !== null);
}

/** The free space that a deploy needs, given what others used; `minFree`, in bytes, is the operator's own setting. */
export function roomNeeded(taken: readonly Room[], minFree?: number): { bytes: number; files: number } {
  const most = (sizes: (number | null)[], least: number | null) =>
    Math.max(least ?? 0, ...sizes.map((size) => 2 * (size ?? 0)));
  const files = most(
    taken.map((room) => room.files),
    LEAST.files,
  );
  return {
    bytes:
      minFree ??
      most(
        taken.map((room) => room.bytes),
        LEAST.bytes,
      ),
    files,
  };
}

/** The space for the app's next deploy. */
export const roomFor = async (app: App) => roomNeeded(await takenLately(app), app.server.minFree);

/** Why the free space does not suffice, with the figures, or null when it does. */
export function roomProblem(free: Room, needed: { bytes: number; files: number }): string | null {
  if (free.bytes < needed.bytes)
    return `the disk has ${sizeText(free.bytes)} free, but a deploy needs up to ${sizeText(needed.bytes)}`;
  if (free.files !== null && free.files < needed.files)
    return `the disk has room for ${free.files} more files, but a deploy needs up to ${needed.files}`;
  return null;
}
