// Whether anybody still reads stdout: over ssh without a terminal nothing else tells that the client has gone.
import { FFIType, ptr } from "bun:ffi";
import { fstatSync } from "node:fs";
import { DpError } from "../../errors.ts";
import { libcWith } from "./library.ts";

const POLLERR = 0x08;
const POLLHUP = 0x10;
/** The pause between two looks, in ms. */
const LOOK = 250;

const libc = libcWith({ poll: { args: [FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i32 } });

/** Whether stdout is a pipe or a socket that nobody will ever read again. */
export function isReaderGone(): boolean {
  try {
    const stdout = fstatSync(1);
    if (!stdout.isFIFO() && !stdout.isSocket()) return false;
  } catch {
    return false; // it was closed by whoever started this: nobody was to read it
  }
  // struct pollfd {int fd; short events; short revents}: with no events asked for, the errors alone are answered.
  const asked = new Int16Array([1, 0, 0, 0]);
  libc().poll(ptr(asked), 1, 0);
  return (asked[3]! & (POLLERR | POLLHUP)) !== 0;
}

/** Throws DpError "hungUp" when nobody reads stdout any more. */
export function requireReader(): void {
  if (isReaderGone()) throw new DpError("hungUp", "nobody reads the output any more");
}

/** Calls `leave` once nobody reads stdout any more, unless the returned function was called. Keeps no process alive. */
export function onReaderGone(leave: () => void): () => void {
  const looking = setInterval(() => {
    if (!isReaderGone()) return;
    clearInterval(looking);
    leave();
  }, LOOK);
  looking.unref();
  return () => clearInterval(looking);
}
