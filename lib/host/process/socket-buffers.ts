// How much the kernel keeps for a TCP socket whose other side is slow: by itself it grows to several MB each way.
import { FFIType, ptr } from "bun:ffi";
import { libcWith } from "./library.ts";

const SOL_SOCKET = 1;
const BUFFERS = [7, 8]; // SO_SNDBUF, SO_RCVBUF
const IPPROTO_TCP = 6;
const TCP_WINDOW_CLAMP = 10;
const TCP_NOTSENT_LOWAT = 25;

const libc = libcWith({
  setsockopt: { args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
});

const size = new Int32Array(1);

function set(fd: number | undefined, level: number, option: number, bytes: number): void {
  if (fd === undefined || process.platform !== "linux") return;
  size[0] = bytes;
  libc().setsockopt(fd, level, option, ptr(size), 4);
}

/** Gives a socket buffers of a size that stays, each way. What is in them already stays, too. */
export function fixBuffers(fd: number | undefined, bytes: number): void {
  for (const option of BUFFERS) set(fd, SOL_SOCKET, option, bytes);
}

/** Lets the other side send no more than that ahead of what is read. */
export const clampWindow = (fd: number | undefined, bytes: number): void =>
  set(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, bytes);

/** Lets the kernel take no more than that ahead of what it sends; the connections of a listening socket inherit it. */
export const limitUnsent = (fd: number | undefined, bytes: number): void =>
  set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, bytes);
