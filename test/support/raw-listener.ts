// A process that listens on a TCP port by the C library's own calls, so that a test decides when it accepts. Each line of
// stdin is a call: "listen PORT", "defer" (TCP_DEFER_ACCEPT), "accept" (blocks), "unlisten", "write TEXT", "close"; each is answered by "ok" or "failed".
// "read" answers what came on the accepted connection until now.
import { FFIType, ptr } from "bun:ffi";
import { libcWith } from "../../lib/host/process/library.ts";

const { i32, u32, u64 } = FFIType;
const libc = libcWith({
  socket: { args: [i32, i32, i32], returns: i32 },
  setsockopt: { args: [i32, i32, i32, FFIType.ptr, u32], returns: i32 },
  bind: { args: [i32, FFIType.ptr, u32], returns: i32 },
  listen: { args: [i32, i32], returns: i32 },
  accept: { args: [i32, FFIType.ptr, FFIType.ptr], returns: i32 },
  send: { args: [i32, FFIType.ptr, u64, i32], returns: FFIType.i64_fast },
  recv: { args: [i32, FFIType.ptr, u64, i32], returns: FFIType.i64_fast },
  close: { args: [i32], returns: i32 },
})();
const [IPPROTO_TCP, TCP_DEFER_ACCEPT] = [6, 9];
const [AF_INET, SOCK_STREAM_CLOEXEC, SOL_SOCKET, SO_REUSEADDR, MSG_DONTWAIT] = [2, 0o2000001, 1, 2, 0x40];

let listening = -1;
let accepted = -1;

function listen(port: number): boolean {
  listening = libc.socket(AF_INET, SOCK_STREAM_CLOEXEC, 0);
  libc.setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, ptr(Int32Array.of(1)), 4);
  const address = Buffer.alloc(16);
  address.writeUInt16LE(AF_INET, 0);
  address.writeUInt16BE(port, 2);
  address.set([127, 0, 0, 1], 4);
  return libc.bind(listening, ptr(address), 16) === 0 && libc.listen(listening, 128) === 0;
}

function read(): string {
  const bytes = Buffer.alloc(1 << 16);
  const size = Number(libc.recv(accepted, ptr(bytes), bytes.length, MSG_DONTWAIT));
  return JSON.stringify(bytes.toString("latin1", 0, Math.max(0, size)));
}

function write(text: string): boolean {
  const bytes = Buffer.from(JSON.parse(text) as string, "latin1");
  return Number(libc.send(accepted, ptr(bytes), bytes.length, 0)) === bytes.length;
}

function obey(line: string): string {
  const [, call, rest = ""] = /^(\S+) ?(.*)$/.exec(line)!;
  if (call === "read") return read();
  if (call === "listen") return listen(Number(rest)) ? "ok" : "failed";
  if (call === "defer")
    return libc.setsockopt(listening, IPPROTO_TCP, TCP_DEFER_ACCEPT, ptr(Int32Array.of(30)), 4) === 0 ? "ok" : "failed";
  if (call === "unlisten") return libc.close(listening) === 0 ? "ok" : "failed";
  if (call === "accept") return (accepted = libc.accept(listening, null, null)) >= 0 ? "ok" : "failed";
  if (call === "write") return write(rest) ? "ok" : "failed";
  return libc.close(accepted) === 0 ? "ok" : "failed";
}

if (import.meta.main) for await (const line of console) console.log(obey(line));

/** Such a process, of another user if one is named; it ends with `stop`. */
export interface RawListener {
  pid: number;
  call(line: string): Promise<string>;
  stop(): Promise<void>;
}

/** Starts one. `uid`: only root may give one. */
export function rawListener(uid?: number): RawListener {
  const child = Bun.spawn([process.execPath, "--no-env-file", "--config=/dev/null", "--no-install", import.meta.path], {
    cwd: "/",
    env: {},
    stdio: ["pipe", "pipe", "inherit"],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  return {
    pid: child.pid,
    async call(line) {
      child.stdin.write(`${line}\n`);
      await child.stdin.flush();
      return ((await lines.read()).value ?? "").trimEnd();
    },
    async stop() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}
