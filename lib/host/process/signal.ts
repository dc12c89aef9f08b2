// Signals exactly one process, never another one that has taken over its pid: pidfd_send_signal(2).
import { FFIType } from "bun:ffi";
import { closeSync } from "node:fs";
import { isAlive } from "./process.ts";
import { libcWith } from "./library.ts";

// These numbers are the same on every architecture.
const PIDFD_SEND_SIGNAL = 424;
const PIDFD_OPEN = 434;
const SIGTERM = 15;

const { i32, i64, ptr } = FFIType;
const libc = libcWith({ syscall: { args: [i64, i32, i32, ptr, i32], returns: i32 } });

/** Sends SIGTERM to the process with that pid and start time (ticks since boot); returns false when it has ended. */
export function terminate(pid: number, startTime: number): boolean {
  const handle = libc().syscall(PIDFD_OPEN, pid, 0, null, 0);
  try {
    // Checked while the handle is held: from here on the pid cannot be reused.
    if (!isAlive(pid, startTime)) return false;
    // Kernels before 5.3 have no pidfds.
    if (handle < 0) return process.kill(pid, "SIGTERM");
    return libc().syscall(PIDFD_SEND_SIGNAL, handle, SIGTERM, null, 0) === 0;
  } finally {
    if (handle >= 0) closeSync(handle);
  }
}
