// Whose a TCP socket is. The kernel is asked for that one socket (sock_diag); /proc/net/tcp would be read whole.
import { FFIType, ptr } from "bun:ffi";
import { libcWith } from "./library.ts";

const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 0o2000003;
const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
const NLM_F_REQUEST = 1;
const TCP = 6;
const MSG_DONTWAIT = 0x40;
/** The loopback device, in every network namespace. */
const LOOPBACK = 1;

const ESTABLISHED = 1;
const SYN_RECEIVED = 3;
const LISTEN = 10;

const libc = libcWith({
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  send: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i64_fast },
  recv: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i64_fast },
});

/** One end of a connection. */
export interface Endpoint {
  address: string;
  port: number;
}

interface Found {
  state: number;
  uid: number;
  /** A process has it: not so before accept(2) and after close(2). */
  isHeld: boolean;
}

// struct nlmsghdr and struct inet_diag_req_v2; the answer is a header and a struct inet_diag_msg.
const question = Buffer.alloc(72);
const answer = Buffer.alloc(1024);
let netlink = -1;
let count = 0;

/** The socket that gets what comes to `local` from `remote`: that of a connection, else a listening one; null: none. */
function find(local: Endpoint, remote: Endpoint | null): Found | null {
  if (netlink < 0) netlink = libc().socket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_SOCK_DIAG);
  if (netlink < 0) return null;
  const bytes = bytesOf(local.address);
  count = (count + 1) >>> 0;
  question.fill(0);
  question.writeUInt32LE(question.length, 0);
  question.writeUInt16LE(SOCK_DIAG_BY_FAMILY, 4);
  question.writeUInt16LE(NLM_F_REQUEST, 6);
  question.writeUInt32LE(count, 8);
  question[16] = bytes.length === 4 ? AF_INET : AF_INET6;
  question[17] = TCP;
  question.writeUInt32LE(0xffffffff, 20); // in any state
  question.writeUInt16BE(local.port, 24);
  question.set(bytes, 28);
  if (remote !== null) {
    question.writeUInt16BE(remote.port, 26);
    question.set(bytesOf(remote.address), 44);
  }
  // As a packet of this machine would come, so that a socket that is bound to the device is found, too.
  question.writeUInt32LE(LOOPBACK, 60);
  question.fill(0xff, 64); // INET_DIAG_NOCOOKIE
  if (libc().send(netlink, ptr(question), question.length, 0) !== question.length) return null;
  return readAnswer();
}

function readAnswer(): Found | null {
  for (;;) {
    const size = Number(libc().recv(netlink, ptr(answer), answer.length, MSG_DONTWAIT));
    if (size <= 0) return null;
    if (answer.readUInt32LE(8) !== count) continue; // to an earlier question
    if (answer.readUInt16LE(4) !== SOCK_DIAG_BY_FAMILY || size < 88) return null;
    return { state: answer[17]!, uid: answer.readUInt32LE(80), isHeld: answer.readUInt32LE(84) !== 0 };
  }
}

/** The user that whatever listens on this machine's `address` and `port` belongs to; null: nothing listens. */
export function listenerUid(address: string, port: number): number | null {
  const found = find({ address, port }, null);
  return found?.state === LISTEN ? found.uid : null;
}

/**
 * The user that the `local` end of an open connection inside this machine belongs to: nobody else reads what is sent
 * there. Before accept(2) that is the user of the listening socket. Null: that end is closed, or it cannot be told.
 */
export function connectionUid(local: Endpoint, remote: Endpoint): number | null {
  const found = find(local, remote);
  if (found === null) return null;
  if (found.isHeld && found.state !== LISTEN) return found.uid;
  if (!isWaiting(found)) return null;
  // While it waits, the listening socket that it came by is open, and so the one that is found now.
  const uid = listenerUid(local.address, local.port);
  const again = find(local, remote);
  if (again?.isHeld && again.state !== LISTEN) return again.uid;
  return isWaiting(again) ? uid : null;
}

/** Whether an open connection leads out of this network, though its address does not: no socket here is its other end. */
export function isElsewhere(other: Endpoint, own: Endpoint): boolean {
  const found = find(other, own);
  return (found === null || found.state === LISTEN) && find(own, other)?.state === ESTABLISHED;
}

// Every other state is one of a connection that its owner has closed.
const isWaiting = (found: Found | null) =>
  found !== null && !found.isHeld && (found.state === ESTABLISHED || found.state === SYN_RECEIVED);

let isTold: boolean | undefined;

/** Whether this kernel answers such questions at all: one without the module for it knows no socket. */
export function tellsOwners(): boolean {
  if (isTold !== undefined) return isTold;
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  try {
    return (isTold = listenerUid("127.0.0.1", probe.port) !== null);
  } finally {
    probe.stop(true);
  }
}

/** The 4 or 16 bytes of an IP address. */
function bytesOf(address: string): Uint8Array {
  const plain = address.replace(/^::ffff:(?=.*\.)/i, "").replace(/%.*$/, "");
  if (!plain.includes(":")) return Uint8Array.from(plain.split("."), Number);
  const [head = "", tail] = plain.split("::");
  const words = (text: string) => (text === "" ? [] : text.split(":").map((word) => Number.parseInt(word, 16)));
  const [before, behind] = [words(head), words(tail ?? "")];
  const zeros = Array.from({ length: Math.max(0, 8 - before.length - behind.length) }, () => 0);
  return Uint8Array.from([...before, ...zeros, ...behind].flatMap((word) => [word >> 8, word & 0xff]));
}
