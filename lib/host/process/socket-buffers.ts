// How much the kernel keeps for a TCP socket whose other side is slow: by itself it grows to several MB each way.
import { FFIType, ptr } from "bun:ffi";
import { libcWith } from "./library.ts";

const SOL_SOCKET = 1;
const BUFFERS = [7, 8]; // SO_SNDBUF, SO_RCVBUF

const libc = libcWith({
  setsockopt: { args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
});

const size = new Int32Array(1);

/** Gives a socket buffers of a size that stays, each way. What is in them already stays, too. */
export function fixBuffers(fd: number | undefined, bytes: number): void {
  if (fd === undefined || process.platform !== "linux") return;
  size[0] = bytes;
  for (const option of BUFFERS) libc().setsockopt(fd, SOL_SOCKET, option, ptr(size), 4);
}
