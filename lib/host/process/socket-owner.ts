// Finds the owner of a TCP socket. The kernel is asked for that one socket (sock_diag); /proc/net/tcp would have to be
// read as a whole.
import { type Pointer, ptr } from "bun:ffi";
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

const NLM_F_REQUEST = 1;
/** The loopback device, in every network namespace. */
const LOOPBACK = 1;

const ESTABLISHED = 1;
const SYN_RECEIVED = 3;

/** One end of a connection. */
export interface Endpoint {
  address: string;
  port: number;
}

interface Found {
  state: number;
  uid: number;
  /** 0: no process holds the socket, before accept(2) and after close(2). */
  inode: number;
}

// struct nlmsghdr and struct inet_diag_req_v2: the constant fields are written once, the others for each question.
const question = new DataView(new ArrayBuffer(QUESTION));
question.setUint32(0, QUESTION, true);
question.setUint16(4, SOCK_DIAG_BY_FAMILY, true);
question.setUint16(6, NLM_F_REQUEST, true);
question.setUint8(17, TCP);
question.setUint32(20, 0xffffffff, true); // in any state
// As if a packet came from this machine, so that a socket bound to the device is found as well.
question.setUint32(60, LOOPBACK, true);
question.setBigUint64(64, 0xffffffffffffffffn, true); // INET_DIAG_NOCOOKIE
const asked = new Uint8Array(question.buffer);
// A header and a struct inet_diag_msg.
const answer = new DataView(new ArrayBuffer(1024));
let netlink = -1;
let count = 0;
let [from, to] = [0 as Pointer, 0 as Pointer];

function open(): boolean {
  netlink = openDiag();
  [from, to] = [ptr(asked), ptr(answer)];
  return netlink >= 0;
}

/** The socket that receives packets to `local` from `remote`: the connection's, otherwise a listening one; null: none. */
function find(local: Endpoint, remote: Endpoint | null): Found | null {
  if (netlink < 0 && !open()) return null;
  const bytes = bytesOf(local.address);
  count = (count + 1) >>> 0;
  question.setUint32(8, count, true);
  question.setUint8(16, bytes.length === 4 ? AF_INET : AF_INET6);
  question.setUint16(24, local.port);
  question.setUint16(26, remote?.port ?? 0);
  asked.fill(0, 28, 60);
  asked.set(bytes, 28);
  if (remote !== null) asked.set(bytesOf(remote.address), 44);
  if (diag().send(netlink, from, asked.length, 0) !== asked.length) return null;
  for (;;) {
    const size = Number(diag().recv(netlink, to, answer.byteLength, MSG_DONTWAIT));
    if (size <= 0) return null;
    if (answer.getUint32(8, true) !== count) continue; // the reply to an earlier question
    if (answer.getUint16(4, true) !== SOCK_DIAG_BY_FAMILY || size < ANSWER) return null;
    const [uid, inode] = [answer.getUint32(80, true), answer.getUint32(84, true)];
    return { state: answer.getUint8(17), uid, inode };
  }
}

/** The user who owns the listening socket on this machine's `address` and `port`; null: nothing listens. */
export function listenerUid(address: string, port: number): number | null {
  const found = find({ address, port }, null);
  return found?.state === LISTEN ? found.uid : null;
}

/** The inode of the listening socket that a connection to this machine's `address` and `port` reaches; null: none. */
export function listenerInode(address: string, port: number): number | null {
  const found = find({ address, port }, null);
  return found?.state === LISTEN ? found.inode : null;
}

// Whether a connection that is not accepted yet shows its user. Older kernels (before 6.17) report 0 for every user.
let isShownEarly = false;

/**
 * The user who owns the `local` end of an open connection inside this machine: nobody else can read what is sent there.
 * Before accept(2) that is the owner of the listening socket. Null: that end is closed, or the owner cannot be
 * determined.
 */
export function connectionUid(local: Endpoint, remote: Endpoint): number | null {
  // The listening socket first: a connection that is still waiting after this was made through the socket that is open
  // now.
  const listening = isShownEarly ? null : listenerUid(local.address, local.port);
  const found = find(local, remote);
  if (found === null) return null;
  if (found.inode !== 0 && found.state !== LISTEN) return found.uid;
  if (found.inode !== 0) return null;
  // TCP_DEFER_ACCEPT: the connection is made when its first byte arrives, by this listening socket or not at all.
  if (found.state === SYN_RECEIVED) return listening ?? listenerUid(local.address, local.port);
  // In every other state the owner has closed the connection.
  if (found.state !== ESTABLISHED) return null;
  if (found.uid !== 0) isShownEarly = true;
  return isShownEarly ? found.uid : listening;
}

/** The user whose process holds the `local` end of a connection inside this machine; null: no process holds it. */
export function holderUid(local: Endpoint, remote: Endpoint): number | null {
  const found = find(local, remote);
  return found !== null && found.inode !== 0 && found.state !== LISTEN ? found.uid : null;
}

/** Whether an open connection to a local address leaves this network after all: no socket here is its other end. */
export function isElsewhere(other: Endpoint, own: Endpoint): boolean {
  const found = find(other, own);
  return (found === null || found.state === LISTEN) && find(own, other)?.state === ESTABLISHED;
}

let isTold: boolean | undefined;

/** Whether this kernel answers such questions: without the sock_diag module it finds no socket. */
export function tellsOwners(): boolean {
  if (isTold !== undefined) return isTold;
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  try {
    return (isTold = listenerUid("127.0.0.1", probe.port) !== null);
  } finally {
    probe.stop(true);
  }
}

const LOCALHOST = Uint8Array.of(127, 0, 0, 1);

/** The 4 or 16 bytes of an IP address. */
function bytesOf(address: string): Uint8Array {
  if (address === "127.0.0.1") return LOCALHOST;
  const plain = address.replace(/^::ffff:(?=.*\.)/i, "").replace(/%.*$/, "");
  if (!plain.includes(":")) return Uint8Array.from(plain.split("."), Number);
  const [head = "", tail] = plain.split("::");
  const words = (text: string) => (text === "" ? [] : text.split(":").map((word) => Number.parseInt(word, 16)));
  const [before, behind] = [words(head), words(tail ?? "")];
  const zeros = Array.from({ length: Math.max(0, 8 - before.length - behind.length) }, () => 0);
  return Uint8Array.from([...before, ...zeros, ...behind].flatMap((word) => [word >> 8, word & 0xff]));
}
