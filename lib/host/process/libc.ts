// The few C library calls that Bun does not offer, or only in modules that are slow to load: node:tty pulls in all of
// node:net.
import { FFIType, ptr } from "bun:ffi";
import { closeSync } from "node:fs";
import { libcWith } from "./library.ts";

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const RLIMIT_FSIZE = 1;
const O_CLOEXEC = 0o2000000;
const F_SETPIPE_SZ = 1031;
const F_GETPIPE_SZ = 1032;
const F_SETLEASE = 1024;
const F_RDLCK = 0;
const F_UNLCK = 2;

const libc = libcWith({
  dup2: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  isatty: { args: [FFIType.i32], returns: FFIType.i32 },
  flock: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  setsid: { args: [], returns: FFIType.i32 },
  setrlimit: { args: [FFIType.i32, FFIType.ptr], returns: FFIType.i32 },
  fcntl: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  mkfifo: { args: [FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  pipe2: { args: [FFIType.ptr, FFIType.i32], returns: FFIType.i32 },
});

/**
 * Takes the lock of an open file without waiting; returns false when another process holds it. "shared" locks do not
 * exclude each other.
 */
export function tryFlock(fd: number, kind: "exclusive" | "shared" = "exclusive"): boolean {
  return libc().flock(fd, (kind === "shared" ? LOCK_SH : LOCK_EX) | LOCK_NB) === 0;
}

/** Whether an open file is a terminal. */
export const isTerminal = (fd: number): boolean => libc().isatty(fd) === 1;

/** Makes this process the leader of a new session, unless it leads a group already; returns whether it succeeded. */
export const leaveSession = (): boolean => libc().setsid() !== -1;

/** From now on this process and those that it starts can write no file that has more bytes. */
export function limitFiles(bytes: number): void {
  const most = BigInt(bytes);
  if (libc().setrlimit(RLIMIT_FSIZE, ptr(new BigUint64Array([most, most]))) !== 0) throw new Error("setrlimit failed");
}

/** Makes `to` a duplicate of the open file `fd`. */
export function duplicate(fd: number, to: number): void {
  if (libc().dup2(fd, to) !== to) throw new Error(`dup2 failed: ${fd} to ${to}`);
}

/**
 * A real pipe, close-on-exec, as [read end, write end]. Bun's own "pipe" is a socket pair, on which a
 * child's `echo > /dev/stderr` fails with ENXIO.
 */
export function pipe(): [number, number] {
  const ends = new Int32Array(2);
  if (libc().pipe2(ptr(ends), O_CLOEXEC) !== 0) throw new Error("pipe2 failed: too many open files?");
  return [ends[0]!, ends[1]!];
}

type Pipe = ReturnType<typeof pipe>;

/** Two pipes, or none of them. */
export function pipes(): [Pipe, Pipe] {
  const first = pipe();
  try {
    return [first, pipe()];
  } catch (error) {
    first.forEach(closeSync);
    throw error;
  }
}

/**
 * Whether nobody has an open file open for writing, or mapped so: fcntl(2), "Leases". False where that cannot be known. An
 * open file outlives a change of the rights, and may be handed to any process.
 */
export function hasNoWriter(fd: number): boolean {
  if (process.platform !== "linux" || libc().fcntl(fd, F_SETLEASE, F_RDLCK) !== 0) return false;
  libc().fcntl(fd, F_SETLEASE, F_UNLCK);
  return true;
}

/** The most bytes that a pipe of any user may hold, as Linux comes. */
const LARGE = 1024 ** 2;

/** The same for much data: the programs at its ends wait for each other less often. Its size is a wish, not a promise. */
export function largePipe(): [number, number] {
  const ends = pipe();
  libc().fcntl(ends[0], F_SETPIPE_SZ, LARGE);
  return ends;
}

/** Makes a pipe with a name, which only dp's user can read and write. */
export function makeFifo(path: string): void {
  if (libc().mkfifo(ptr(Buffer.from(`${path}\0`)), 0o600) !== 0) throw new Error(`mkfifo failed: ${path}`);
}

/** How many bytes an empty pipe takes at once: fewer for a user who has many, see pipe(7). */
export const pipeRoom = (fd: number): number => libc().fcntl(fd, F_GETPIPE_SZ, 0);
