// How much the kernel keeps for a TCP socket whose other side is slow: by itself it grows to several MB each way.
import { FFIType, ptr } from "bun:ffi";
import { libcWith } from "./library.ts";

const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const IPPROTO_TCP = 6;
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

/** Gives a socket buffers of a size that stays: for what it sends, and for what it gets. What is in them stays, too. */
export function fixBuffers(fd: number | undefined, unsent: number, unread: number): void {
  set(fd, SOL_SOCKET, SO_SNDBUF, unsent);
  set(fd, SOL_SOCKET, SO_RCVBUF, unread);
}

/** Lets the other side send about that much ahead of what is read. The kernel keeps twice as much room for it. */
export const limitUnread = (fd: number | undefined, bytes: number): void => set(fd, SOL_SOCKET, SO_RCVBUF, bytes);

/** Lets the kernel take no more than that ahead of what it sends; the connections of a listening socket inherit it. */
export const limitUnsent = (fd: number | undefined, bytes: number): void =>
  set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, bytes);
