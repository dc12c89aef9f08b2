// Opens files in a folder that somebody else controls, without any way out of it: openat2(2) with RESOLVE_BENEATH.
import { closeSync, constants, fstatSync, openSync, readlinkSync, realpathSync, type Stats } from "node:fs";
import { FFIType, ptr } from "bun:ffi";
import { libcWith } from "../../host/process/library.ts";

const OPENAT2 = 437; // the same number on every architecture
const RESOLVE_BENEATH = 0x08;
const RESOLVE_NO_MAGICLINKS = 0x02;
const { O_DIRECTORY, O_NOFOLLOW, O_NOCTTY, O_NONBLOCK, O_RDONLY } = constants;
const O_CLOEXEC = 0o2000000;

const libc = libcWith({
  syscall: { args: [FFIType.i64, FFIType.i64, FFIType.ptr, FFIType.ptr, FFIType.u64], returns: FFIType.i64 },
});

function openat2(folder: number, path: string, flags: number): number | null {
  const how = new BigUint64Array([BigInt(flags), 0n, BigInt(RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)]);
  const fd = libc().syscall(OPENAT2, folder, ptr(Buffer.from(`${path}\0`)), ptr(how), how.byteLength);
  return Number(fd) < 0 ? null : Number(fd);
}

/** Without the call (Linux before 5.6) the file is opened first, and its real path is checked afterwards. */
function openAndLook(folder: number, path: string, flags: number): number | null {
  const top = realpathSync(`/proc/self/fd/${folder}`);
  try {
    const fd = openSync(`${top}/${path}`, flags);
    const real = readlinkSync(`/proc/self/fd/${fd}`);
    if (real === top || real.startsWith(`${top}/`)) return fd;
    closeSync(fd);
    return null;
  } catch {
    return null;
  }
}

let hasCall: boolean | undefined;

/** Opens `path`, relative, below an open folder; null when it is missing, unreadable, or leads outside. */
export function openBeneath(folder: number, path: string, kind: "any" | "folder" = "any"): number | null {
  // O_NONBLOCK: opening a FIFO would wait for its writer.
  const flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (kind === "folder" ? O_DIRECTORY : 0);
  if (path.includes("\0")) return null;
  if (hasCall === undefined) {
    const probe = openat2(folder, ".", O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    if (probe !== null) closeSync(probe);
    hasCall = probe !== null;
  }
  return hasCall ? openat2(folder, path, flags) : openAndLook(folder, path, flags);
}

/** Opens a folder by its absolute path, whose last part must not be a link. */
export const openFolder = (path: string): number => openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);

/** An open regular file; its holder closes it. */
export interface OpenFile {
  fd: number;
  stat: Stats;
}

/** The regular file at `path` below a folder; "folder" for a folder; null when there is nothing to serve. */
export function fileBeneath(folder: number, path: string): OpenFile | "folder" | null {
  const fd = openBeneath(folder, path);
  if (fd === null) return null;
  const stat = fstatSync(fd);
  if (stat.isFile()) return { fd, stat };
  closeSync(fd);
  return stat.isDirectory() ? "folder" : null;
}
