// A separate disk for the self-test's releases, small enough to be filled to its last byte without harm to other apps.
import { closeSync, openSync, readlinkSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { codeOf } from "../errors.ts";
import { places, root } from "../paths.ts";
import { readProc } from "../host/process/proc.ts";
import { run } from "../host/run.ts";

/** Whether the app's releases are on a disk of their own. */
export const hasSmallDisk = (app: string) => (readProc("self/mountinfo") ?? "").includes(` ${places(app).releases} `);

/** Why no such disk can be mounted, or null. */
export function mountProblem(): string | null {
  if (root() !== "" || process.getuid?.() !== 0) return "only root on a server may mount a small disk for it";
  // In another mount namespace the app's units would not see it.
  const isOwn = readlinkSync("/proc/self/ns/mnt") !== readlinkSync("/proc/1/ns/mnt");
  return isOwn ? "this shell has mounts of its own" : null;
}

/** Mounts such a disk over the releases of an app that has none yet, where that is possible. */
export async function mountSmallDisk(app: string): Promise<void> {
  if (mountProblem() !== null) return;
  const argv = ["mount", "-t", "tmpfs", "-o", "size=16m,mode=755,nosuid,nodev", "dp-selftest", places(app).releases];
  await run(argv, { check: false });
}

/** Unmounts it, even while it is in use. Safe to repeat. */
export async function unmountSmallDisk(app: string): Promise<void> {
  if (hasSmallDisk(app)) await run(["umount", "--lazy", places(app).releases]);
}

/** Fills it to the last byte, calls `act`, and frees the space again. */
export async function withFullDisk(app: string, act: () => Promise<void>): Promise<void> {
  const filler = join(places(app).releases, "filler");
  fill(filler);
  try {
    await act();
  } finally {
    unlinkSync(filler);
  }
}

function fill(path: string): void {
  const file = openSync(path, "wx");
  for (let size = 1 << 20; size > 0;) {
    try {
      writeSync(file, Buffer.alloc(size));
    } catch (error) {
      if (codeOf(error) !== "ENOSPC") throw error;
      size >>= 1;
    }
  }
  closeSync(file);
}
