// Whether a socket has something to read.
import { FFIType, type Pointer, ptr } from "bun:ffi";
import { libcWith } from "./library.ts";

const MSG_PEEK = 0x02;
const MSG_DONTWAIT = process.platform === "darwin" ? 0x80 : 0x40;

const libc = libcWith({
  recv: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i64_fast },
});

const byte = new Uint8Array(1);
let at: Pointer | null = null;

/** Whether the socket `fd` has a byte, or the FIN of the other side, to read. It stays there. */
export function isReadable(fd: number): boolean {
  at ??= ptr(byte);
  return Number(libc().recv(fd, at, 1, MSG_PEEK | MSG_DONTWAIT)) >= 0;
}
