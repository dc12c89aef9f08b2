// A file that lies in memory alone, for what must not be on the disk. It is gone with this process.
import { fchmodSync } from "node:fs";
import { FFIType, ptr } from "bun:ffi";
import { libcWith } from "./library.ts";

const MFD_CLOEXEC = 1;
const libc = libcWith({ memfd_create: { args: [FFIType.ptr, FFIType.u32], returns: FFIType.i32 } });

/** Makes one that only this user may read, also by its path while this process lives. The caller closes it. */
export function memoryFile(name: string): { fd: number; path: string } {
  const fd = libc().memfd_create(ptr(Buffer.from(`${name}\0`)), MFD_CLOEXEC);
  if (fd < 0) throw new Error("memfd_create failed");
  fchmodSync(fd, 0o600);
  return { fd, path: `/proc/${process.pid}/fd/${fd}` };
}
