// Every listening TCP socket, as the kernel lists them (sock_diag). /proc/net/tcp goes on to all connections, and a read
// past the last one walks the whole table of them: milliseconds, even when it is empty.
import { FFIType, ptr } from "bun:ffi";
import { libcWith } from "./library.ts";

const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 0o2000003;
const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
/** NLM_F_REQUEST and NLM_F_DUMP. */
const LIST = 0x301;
const NLMSG_DONE = 3;
const TCP = 6;
const LISTEN = 10;
const MSG_DONTWAIT = 0x40;
/** A header and a struct inet_diag_msg. */
const LEAST = 88;

const libc = libcWith({
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  send: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i64_fast },
  recv: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i64_fast },
  close: { args: [FFIType.i32], returns: FFIType.i32 },
});

/** A listening socket. */
export interface ListedSocket {
  inode: string;
  /** 4 or 16 bytes. */
  address: Uint8Array;
  port: number;
  uid: number;
}

/** All that listen in this network namespace; null: this kernel does not list them. */
export function listedSockets(): ListedSocket[] | null {
  const netlink = libc().socket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_SOCK_DIAG);
  if (netlink < 0) return null;
  try {
    const [four, six] = [AF_INET, AF_INET6].map((family) => listOf(netlink, family));
    return four && six ? [...four, ...six] : null;
  } finally {
    libc().close(netlink);
  }
}

/** A struct nlmsghdr and a struct inet_diag_req_v2 that asks for all listening sockets of a family. */
function questionFor(family: number): Uint8Array {
  const question = new DataView(new ArrayBuffer(72));
  question.setUint32(0, 72, true);
  question.setUint16(4, SOCK_DIAG_BY_FAMILY, true);
  question.setUint16(6, LIST, true);
  question.setUint8(16, family);
  question.setUint8(17, TCP);
  question.setUint32(20, 1 << LISTEN, true);
  return new Uint8Array(question.buffer);
}

function listOf(netlink: number, family: number): ListedSocket[] | null {
  const question = questionFor(family);
  if (Number(libc().send(netlink, ptr(question), question.length, 0)) !== question.length) return null;
  const found: ListedSocket[] = [];
  const answer = new Uint8Array(32 * 1024);
  for (;;) {
    const size = Number(libc().recv(netlink, ptr(answer), answer.length, MSG_DONTWAIT));
    if (size <= 0) return null;
    const view = new DataView(answer.buffer, 0, size);
    for (let at = 0; at + 16 <= size; at += (view.getUint32(at, true) + 3) & ~3) {
      const [length, type] = [view.getUint32(at, true), view.getUint16(at + 4, true)];
      if (type === NLMSG_DONE) return found;
      if (type !== SOCK_DIAG_BY_FAMILY || length < LEAST) return null;
      found.push(socketAt(view, at, family));
    }
  }
}

const socketAt = (view: DataView, at: number, family: number): ListedSocket => ({
  port: view.getUint16(at + 20),
  address: new Uint8Array(view.buffer.slice(at + 24, at + 24 + (family === AF_INET ? 4 : 16))),
  uid: view.getUint32(at + 80, true),
  inode: String(view.getUint32(at + 84, true)),
});
