// Closes a listening socket without resetting clients that have just connected: the kernel resets connections that are
// not accepted.
import { FFIType, ptr } from "bun:ffi";
import { libcWith } from "../../host/process/library.ts";

const libc = libcWith({
  setsockopt: { args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  getsockopt: { args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.ptr], returns: FFIType.i32 },
});

const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
const IPPROTO_TCP = 6;
const TCP_INFO = 11;
/** The index of the accept queue's length in tcp_info. */
const UNACKED = 24;

// Passes packets with ACK set, from handshakes that have begun; drops a SYN, and its client soon tries again.
const NO_SYN = [
  [0x30, 0, 0, 13], // the byte with the flags
  [0x45, 0, 1, 0x10], // is ACK set?
  [0x06, 0, 0, 0xffffffff],
  [0x06, 0, 0, 0],
] as const;

/** In ms: how long the accept queue must stay empty before the socket is closed, and the longest wait for that. */
const QUIET = 5;
const MOST = 2_000;
const STEP = 1;

/** Lets the socket accept connections that have begun, but no new ones; it can be closed when this returns. */
export async function quietDown(fd: number): Promise<void> {
  refuseNew(fd);
  let quiet = 0;
  for (let waited = 0; quiet < QUIET && waited < MOST; waited += STEP) {
    await Bun.sleep(STEP);
    quiet = waitingOn(fd) === 0 ? quiet + STEP : 0;
  }
}

function refuseNew(fd: number): void {
  const filter = new DataView(new ArrayBuffer(NO_SYN.length * 8));
  for (const [at, [code, ifTrue, ifFalse, value]] of NO_SYN.entries()) {
    filter.setUint16(at * 8, code, true);
    filter.setUint8(at * 8 + 2, ifTrue);
    filter.setUint8(at * 8 + 3, ifFalse);
    filter.setUint32(at * 8 + 4, value, true);
  }
  const program = new DataView(new ArrayBuffer(16));
  program.setUint16(0, NO_SYN.length, true);
  program.setBigUint64(8, BigInt(ptr(filter)), true);
  libc().setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, ptr(program), program.byteLength);
}

/** The number of connections that wait to be accepted. */
function waitingOn(fd: number): number {
  const info = new Uint32Array(64);
  const length = new Uint32Array([info.byteLength]);
  return libc().getsockopt(fd, IPPROTO_TCP, TCP_INFO, ptr(info), ptr(length)) === 0 ? info[UNACKED / 4]! : 0;
}
