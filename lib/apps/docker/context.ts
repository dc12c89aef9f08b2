// The build context of an image: the release's folder, in a form that only dp can change during the build.
import { closeSync, lstatSync } from "node:fs";
import { chown, mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Place } from "../../contracts/app-type.ts";
import { DpError } from "../../errors.ts";
import type { Io } from "../../host/io.ts";
import { pipe } from "../../host/process/libc.ts";
import { asStranger, STRANGER } from "../../host/process/privilege.ts";

const PREFIX = ".build-";

/**
 * Runs `use` with the build folder, in which `file` is a regular file. The release's folder belongs to the app's user,
 * and the docker command reads as root, so a process of that user could lead it outside through a link. Root therefore
 * builds from a copy, packed by that user and unpacked by a user that nobody else is. Throws DpError "config".
 */
export async function withContext<T>(
  place: Place,
  file: string,
  io: Io,
  use: (folder: string) => Promise<T>,
): Promise<T> {
  const { user, base } = place;
  if (user === undefined || process.getuid?.() !== 0) return use(place.folder);
  await removeContexts(base);
  const closed = join(base, `${PREFIX}${place.id}`);
  const open = join(closed, "context");
  await mkdir(open, { recursive: true, mode: 0o700 });
  try {
    await chown(open, STRANGER, STRANGER);
    await copy(place, open, io);
    requireFile(open, file);
    for (const name of [".dockerignore", `${file}.dockerignore`]) requireFile(open, name, true);
    return await use(open);
  } finally {
    await rm(closed, { recursive: true, force: true });
  }
}

/** Removes the left-overs of killed builds. The caller holds the app's lock, so no other build is running. */
export async function removeContexts(base: string): Promise<void> {
  const left = (await readdir(base)).filter((name) => name.startsWith(PREFIX));
  for (const name of left) await rm(join(base, name), { recursive: true, force: true });
}

async function copy({ folder, user, timeout }: Place, to: string, io: Io): Promise<void> {
  const [read, write] = pipe();
  const pack = io
    .run(["tar", "-c", "-f", "-", "-C", folder, "."], { stdout: write, user, timeout })
    .finally(() => closeSync(write));
  // Root opens the folder, through parents that only root can change. The app's user does not unpack: another process
  // of that user could move the open folder elsewhere and change the copy later.
  const unpack = io
    .run(asStranger(["tar", "-x", "-f", "-", "--no-same-owner"]), { cwd: to, stdin: read, timeout })
    .finally(() => closeSync(read));
  const [packed, unpacked] = await Promise.allSettled([pack, unpack]);
  if (packed.status === "rejected") throw packed.reason;
  if (unpacked.status === "rejected") throw unpacked.reason;
}

// The docker command reads these files itself, as root, and follows links.
function requireFile(folder: string, path: string, isOptional = false): void {
  const parts = path.split("/");
  for (const [index] of parts.entries()) {
    const name = parts.slice(0, index + 1).join("/");
    const stat = lstatSync(join(folder, name), { throwIfNoEntry: false });
    if (stat === undefined && isOptional) return;
    const isLast = index === parts.length - 1;
    if (isLast ? stat?.isFile() : stat?.isDirectory()) continue;
    throw new DpError(
      "config",
      `${name} in the release is not a ${isLast ? "file" : "folder"}, so no image can be built from it`,
    );
  }
}
