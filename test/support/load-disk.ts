// A program of its own: a rollback on a disk without a free byte. TMPDIR is a small file system; it prints JSON.
import { closeSync, existsSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { codeOf } from "../../lib/errors.ts";
import { loadSandbox, smallApp } from "./load-run.ts";

/** What came of it. */
export interface DiskFull {
  /** Bytes that were free before the rollback. */
  free: number;
  /** The releases: the one to go back to, the live one, and who answered at last. */
  releases: [back: string, live: string, answered: string];
  rollback: { code: number; text: string };
  /** A deploy on the full disk, after that: it must fail and harm nothing. */
  push: { code: number; text: string; answered: string };
  /** A deploy when there is room again. */
  again: { code: number; text: string };
  /** Whether there was a ballast: before, after the rollback, at the end. */
  ballast: boolean[];
}

/** Fills the disk to the last byte. */
function fill(path: string): void {
  const file = openSync(path, "a");
  for (let size = 1 << 20; size > 0;) {
    try {
      writeSync(file, Buffer.alloc(size));
    } catch (error) {
      if (codeOf(error) !== "ENOSPC") throw error;
      size = size >> 1;
    }
  }
  closeSync(file);
}

async function main(): Promise<DiskFull> {
  // Less than this disk has at the end; a small one is not refused for its size alone.
  const box = await loadSandbox({ minFree: "2m" });
  const filler = join(tmpdir(), "filler");
  const ballast: boolean[] = [];
  const look = () => ballast.push(existsSync(join(box.base, "../.ballast")));
  try {
    const back = await box.release(smallApp(box.app));
    const live = await box.release(smallApp(box.app));
    await box.commit(smallApp(box.app));
    fill(filler);
    const { bavail, bsize } = statfsSync(tmpdir());
    look();
    const rollback = await box.dp("rollback", box.app);
    look();
    const answered = await box.answer();
    fill(filler);
    const push = await box.push();
    const after = await box.answer();
    rmSync(filler);
    const again = await box.push();
    look();
    return {
      free: bavail * bsize,
      releases: [back, live, answered],
      rollback,
      push: { ...push, answered: after },
      again,
      ballast,
    };
  } finally {
    await box.stop();
  }
}

console.log(JSON.stringify(await main()));
