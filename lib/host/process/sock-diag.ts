// The kernel's answers about TCP sockets: NETLINK_SOCK_DIAG, as linux/inet_diag.h has it.
import { FFIType } from "bun:ffi";
import { libcWith } from "./library.ts";

export const AF_INET = 2;
export const AF_INET6 = 10;
const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 0o2000003;
const NETLINK_SOCK_DIAG = 4;
export const SOCK_DIAG_BY_FAMILY = 20;
export const TCP = 6;
/** The state of a socket that listens. */
export const LISTEN = 10;
export const MSG_DONTWAIT = 0x40;
/** The size of a question, a struct nlmsghdr and a struct inet_diag_req_v2; and of an answer, with a struct inet_diag_msg. */
export const QUESTION = 72;
export const ANSWER = 88;

/** The calls of libc that ask and answer. */
export const diag = libcWith({
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  send: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i64_fast },
  recv: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i64_fast },
  close: { args: [FFIType.i32], returns: FFIType.i32 },
});

/** A socket to ask on, close-on-exec; negative: this kernel has none. */
export const openDiag = (): number => diag().socket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_SOCK_DIAG);
