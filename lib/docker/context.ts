// What an image is built from: the release's folder, as nobody but dp can change it while the image is built.
import { closeSync } from "node:fs";
import { chown, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Place } from "../app.ts";
import type { Io } from "../io.ts";
import { pipe } from "../process/libc.ts";
import { asUser } from "../process/privilege.ts";
import { idsOf } from "../setup/users.ts";

/**
 * Runs `use` with the folder to build from. The release's folder belongs to the app's user, and the docker command
 * reads as root: a process of that user could lead it out by a link. So root builds from a copy, made by that user
 * through a pipe, below a folder that only root may enter.
 */
export async function withContext<T>(place: Place, io: Io, use: (folder: string) => Promise<T>): Promise<T> {
  const { user } = place;
  if (user === undefined || process.getuid?.() !== 0) return use(place.folder);
  const closed = join(place.base, `.build-${place.id}`);
  const open = join(closed, "context");
  await rm(closed, { recursive: true, force: true }); // half of it, from a run that was killed
  await mkdir(open, { recursive: true, mode: 0o700 });
  try {
    await chown(open, ...(await idsOf(user)));
    await copy(place, open, io);
    return await use(open);
  } finally {
    await rm(closed, { recursive: true, force: true });
  }
}

async function copy({ folder, user, timeout }: Place, to: string, io: Io): Promise<void> {
  const [read, write] = pipe();
  const pack = io
    .run(["tar", "-c", "-f", "-", "-C", folder, "."], { stdout: write, user, timeout })
    .finally(() => closeSync(write));
  // Entered by root, on a way that only root can change: its user could not go there.
  const unpack = io
    .run(asUser(["tar", "-x", "-f", "-", "--no-same-owner"], user), { cwd: to, stdin: read, timeout })
    .finally(() => closeSync(read));
  const [packed, unpacked] = await Promise.allSettled([pack, unpack]);
  if (packed.status === "rejected") throw packed.reason;
  if (unpacked.status === "rejected") throw unpacked.reason;
}
