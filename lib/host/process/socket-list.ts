// Every listening TCP socket, as the kernel lists them (sock_diag). /proc/net/tcp goes on to all connections, and a read
// past the last one walks the whole table of them: milliseconds, even when it is empty.
import { ptr } from "bun:ffi";
import {
  AF_INET,
  AF_INET6,
  ANSWER,
  diag,
  LISTEN,
  MSG_DONTWAIT,
  openDiag,
  QUESTION,
  SOCK_DIAG_BY_FAMILY,
  TCP,
} from "./sock-diag.ts";

/** NLM_F_REQUEST and NLM_F_DUMP. */
const LIST = 0x301;
const NLMSG_DONE = 3;

/** A listening socket. */
export interface ListedSocket {
  inode: string;
  /** 4 or 16 bytes. */
  address: Uint8Array;
  port: number;
  uid: number;
}

/** All that listen in this network namespace, or those on one port; null: this kernel does not list them. */
export function listedSockets(port = 0): ListedSocket[] | null {
  const netlink = openDiag();
  if (netlink < 0) return null;
  try {
    const [four, six] = [AF_INET, AF_INET6].map((family) => listOf(netlink, family, port));
    return four && six ? [...four, ...six] : null;
  } finally {
    diag().close(netlink);
  }
}

/** A struct nlmsghdr and a struct inet_diag_req_v2 that asks for the listening sockets of a family; port 0: all. */
function questionFor(family: number, port: number): Uint8Array {
  const question = new DataView(new ArrayBuffer(QUESTION));
  question.setUint32(0, QUESTION, true);
  question.setUint16(4, SOCK_DIAG_BY_FAMILY, true);
  question.setUint16(6, LIST, true);
  question.setUint8(16, family);
  question.setUint8(17, TCP);
  question.setUint32(20, 1 << LISTEN, true);
  question.setUint16(24, port);
  return new Uint8Array(question.buffer);
}

function listOf(netlink: number, family: number, port: number): ListedSocket[] | null {
  const question = questionFor(family, port);
  if (Number(diag().send(netlink, ptr(question), question.length, 0)) !== question.length) return null;
  const found: ListedSocket[] = [];
  const answer = new Uint8Array(32 * 1024);
  for (;;) {
    const size = Number(diag().recv(netlink, ptr(answer), answer.length, MSG_DONTWAIT));
    if (size <= 0) return null;
    const view = new DataView(answer.buffer, 0, size);
    for (let at = 0; at + 16 <= size; at += (view.getUint32(at, true) + 3) & ~3) {
      const [length, type] = [view.getUint32(at, true), view.getUint16(at + 4, true)];
      if (type === NLMSG_DONE) return found;
      if (type !== SOCK_DIAG_BY_FAMILY || length < ANSWER) return null;
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
