// Reads from a socket outside of Bun's events, into memory that is used again and again.
import { FFIType, type Pointer, ptr } from "bun:ffi";
import { libcWith } from "./library.ts";

const MSG_PEEK = 0x02;
const MSG_DONTWAIT = process.platform === "darwin" ? 0x80 : 0x40;

const libc = libcWith({
  recv: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i64_fast },
  ioctl: { args: [FFIType.i32, FFIType.u64, FFIType.ptr], returns: FFIType.i32 },
});

/** What `receive` read last. It stays in the first cache of a processor, other than the 512 KiB that Bun reads at once. */
export const received = Buffer.allocUnsafeSlow(32 * 1024);
let at: Pointer | null = null;

function recv(fd: number, size: number, flags: number): number {
  at ??= ptr(received);
  return Number(libc().recv(fd, at, size, flags | MSG_DONTWAIT));
}

/** Reads up to `limit` bytes into `received`; returns how many. 0: none has arrived, or no more will. */
export const receive = (fd: number, limit: number): number =>
  Math.max(0, recv(fd, Math.min(limit, received.length), 0));

/** Whether a socket has a byte, or the FIN of the other side, to read. It stays there. `received` is overwritten. */
export const isReadable = (fd: number): boolean => recv(fd, 1, MSG_PEEK) >= 0;

/** Linux: what a socket has to read, and what the other side has not acknowledged yet. */
const WAITING = { in: 0x541b, out: 0x5411 };
const answer = new Int32Array(1);

/** Bytes that the kernel keeps for a TCP socket; 0 where that is not known. */
export function queued(fd: number | undefined, way: keyof typeof WAITING): number {
  if (fd === undefined || process.platform !== "linux") return 0;
  return libc().ioctl(fd, WAITING[way], ptr(answer)) === 0 ? answer[0]! : 0;
}
