// The relay's link to systemd, which keeps the listening sockets (the fd store), so that a restart refuses nobody.
import { FFIType, ptr } from "bun:ffi";
import { libcWith } from "../../host/process/library.ts";

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_REUSEPORT = 15;
const SCM_RIGHTS = 1;
const MSG_NOSIGNAL = 0x4000;
const F_SETFD = 2;
const F_DUPFD_CLOEXEC = 1030;
const FD_CLOEXEC = 1;
const FIRST_FD = 3;

const libc = libcWith({
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  sendmsg: { args: [FFIType.i32, FFIType.ptr, FFIType.i32], returns: FFIType.i64 },
  close: { args: [FFIType.i32], returns: FFIType.i32 },
  listen: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  setsockopt: { args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  fcntl: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
});

/** Raises the accept queue above Bun's 512. */
export function setBacklog(fd: number, backlog: number): void {
  libc().listen(fd, backlog);
}

/** Allows or forbids that another socket of this user binds the same port. */
export function sharePort(fd: number, isShared: boolean): void {
  libc().setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, ptr(new Int32Array([isShared ? 1 : 0])), 4);
}

/** A sockaddr_un: a path, or an abstract name that starts with "@". */
function addressOf(name: string): Uint8Array {
  const bytes = Buffer.from(name);
  if (name.startsWith("@")) bytes[0] = 0;
  const address = new Uint8Array(2 + bytes.length + (name.startsWith("@") ? 0 : 1));
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(bytes, 2);
  return address;
}

/** A control message that carries one fd: cmsghdr, the fd, padding. */
function rightsOf(fd: number): Uint8Array {
  const control = new Uint8Array(24);
  const view = new DataView(control.buffer);
  view.setBigUint64(0, 20n, true);
  view.setInt32(8, SOL_SOCKET, true);
  view.setInt32(12, SCM_RIGHTS, true);
  view.setInt32(16, fd, true);
  return control;
}

/** A msghdr of 64-bit Linux. The buffers it points to must live until the call. */
function messageOf(address: Uint8Array, text: Uint8Array, control: Uint8Array | null): [Uint8Array, Uint8Array] {
  const iov = new Uint8Array(16);
  new DataView(iov.buffer).setBigUint64(0, BigInt(ptr(text)), true);
  new DataView(iov.buffer).setBigUint64(8, BigInt(text.length), true);
  const message = new Uint8Array(56);
  const view = new DataView(message.buffer);
  view.setBigUint64(0, BigInt(ptr(address)), true);
  view.setUint32(8, address.length, true);
  view.setBigUint64(16, BigInt(ptr(iov)), true);
  view.setBigUint64(24, 1n, true);
  if (control !== null) {
    view.setBigUint64(32, BigInt(ptr(control)), true);
    view.setBigUint64(40, BigInt(control.length), true);
  }
  return [message, iov];
}

// Removed from the environment at once: no child may speak in the relay's name.
const notifySocket = process.env["NOTIFY_SOCKET"];
const handed = {
  pid: process.env["LISTEN_PID"],
  count: process.env["LISTEN_FDS"],
  names: process.env["LISTEN_FDNAMES"],
};
for (const name of ["NOTIFY_SOCKET", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"]) delete process.env[name];

/** Notifies systemd (`READY=1`), with an fd if given; returns false when there is no systemd to notify, or it failed. */
export function notify(text: string, fd?: number, name = notifySocket): boolean {
  if (name === undefined || name === "") return false;
  const socket = libc().socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return false;
  const [address, bytes] = [addressOf(name), new TextEncoder().encode(text)];
  const control = fd === undefined ? null : rightsOf(fd);
  const [message, iov] = messageOf(address, bytes, control);
  const sent = Number(libc().sendmsg(socket, ptr(message), MSG_NOSIGNAL));
  libc().close(socket);
  return sent === bytes.length && iov.length === 16;
}

/** The fds that systemd passed to the relay, as name and number; a name may occur more than once. */
export function handedOver(): [string, number][] {
  if (Number(handed.pid) !== process.pid) return [];
  const names = (handed.names ?? "").split(":");
  return Array.from({ length: Number(handed.count) || 0 }, (_, i): [string, number] => {
    libc().fcntl(FIRST_FD + i, F_SETFD, FD_CLOEXEC);
    return [names[i] ?? "unknown", FIRST_FD + i];
  });
}

/** Another fd for the same socket. */
export const dupFd = (fd: number): number => libc().fcntl(fd, F_DUPFD_CLOEXEC, 0);

/** Closes an fd that is not needed. */
export function closeFd(fd: number): void {
  libc().close(fd);
}
