// Rewrites heads for the next hop: the original bytes without the fields meant for the relay, plus the relay's own
// fields.
import { plainAddress } from "./addresses.ts";
import { isAppUser } from "./app.ts";
import { isWord } from "./bytes.ts";
import { sortCuts } from "./field.ts";
import { type AnswerHead, answer } from "./answer-head.ts";
import { request } from "./request-head.ts";
import type { RequestHead } from "./request-line.ts";
import { isProxy } from "./trusted.ts";
import type { Origin } from "./types.ts";

/** The origin of a connection from `address`. A process of an app is never a trusted proxy, whatever its address. */
export function originOf(
  address: string,
  trustedProxies: readonly string[],
  uid: number | null = null,
  proto: Origin["proto"] = "http",
  holder = uid,
): Origin {
  const plain = plainAddress(address);
  const lines = `X-Forwarded-For: ${plain}\r\nX-Forwarded-Proto: ${proto}\r\nX-Real-IP: ${plain}\r\nX-Forwarded-Host: `;
  const isTrusted = isProxy(plain, trustedProxies) && !isAppUser(holder);
  return { address: plain, uid, holder, isTrusted, proto, lines: Buffer.from(lines, "latin1") };
}

const UPGRADE = Buffer.from("Connection: Upgrade\r\n");
const CLOSE = Buffer.from("Connection: close\r\n");
const END = Buffer.from("\r\n");
const NOTHING = Buffer.alloc(0);

/** The head of the request that was read last, as the app gets it. */
export function requestFor(buffer: Buffer, origin: Origin): Buffer {
  const { start, fieldsEnd, cuts, hostAt } = request;
  const hostEnd = hostAt === -1 ? -1 : request.hostEnd;
  const isDirect = !origin.isTrusted;
  const extra = isDirect ? origin.lines : Buffer.from(appended(request, buffer, origin), "latin1");
  const last = request.hasUpgrade ? UPGRADE : request.minor === 0 ? CLOSE : NOTHING;
  const size = fieldsEnd - start - sizeOf(cuts) + extra.length + last.length + END.length;
  const out = Buffer.allocUnsafe(isDirect ? size + (hostEnd - hostAt) + END.length : size);
  let at = copyKept(out, buffer, start, fieldsEnd, cuts);
  at = put(out, at, extra);
  if (isDirect) {
    for (let i = hostAt; i < hostEnd; i++) out[at++] = buffer[i]!;
    at = put(out, at, END);
  }
  at = put(out, at, last);
  at = put(out, at, END);
  // It has that size, but what was not written is never sent.
  return at === out.length ? out : out.subarray(0, at);
}

/** The number of bytes in the cuts. */
function sizeOf(cuts: readonly number[]): number {
  let size = 0;
  for (let i = 0; i < cuts.length; i += 2) size += cuts[i + 1]! - cuts[i]!;
  return size;
}

/** Few bytes go one by one: a call of the runtime's own code costs more. */
function put(out: Buffer, at: number, bytes: Buffer): number {
  if (bytes.length > END.length) out.set(bytes, at);
  else for (let i = 0; i < bytes.length; i++) out[at + i] = bytes[i]!;
  return at + bytes.length;
}

/** Copies `[start, end)` without the cuts; returns the length. */
function copyKept(out: Buffer, buffer: Buffer, start: number, end: number, cuts: readonly number[]): number {
  let at = 0;
  let from = start;
  for (let i = 0; i < cuts.length; i += 2) {
    at += buffer.copy(out, at, from, cuts[i]!);
    from = cuts[i + 1]!;
  }
  return at + buffer.copy(out, at, from, end);
}

/**
 * The fields behind a trusted proxy: its own, with its address appended. A proxy may not know X-Real-IP and Forwarded and
 * pass on forged ones: X-Real-IP is derived from X-Forwarded-For, and Forwarded is left out.
 */
function appended(head: RequestHead, buffer: Buffer, origin: Origin): string {
  const said = new Map<string, string>();
  let others = "";
  for (let i = 0; i < head.forwarded.length; i += 3) {
    const [at, value, end] = [head.forwarded[i]!, head.forwarded[i + 1]!, head.forwarded[i + 2]!];
    // "X_Forwarded_For" is a client's attempt that the proxy let through.
    if (buffer.subarray(at, value).includes(95)) continue;
    if (isWord(buffer, at, "x-real-ip:") || isWord(buffer, at, "forwarded:")) continue;
    const name = KNOWN.find((known) => isWord(buffer, at, `${known}:`));
    const text = buffer.toString("latin1", value, end);
    if (name === undefined) others += `${buffer.toString("latin1", at, end)}\r\n`;
    else said.set(name, said.has(name) ? `${said.get(name)}, ${text}` : text);
  }
  const host = head.hostAt === -1 ? "" : buffer.toString("latin1", head.hostAt, head.hostEnd);
  const { address } = origin;
  const before = said.get("x-forwarded-for");
  return (
    `X-Forwarded-For: ${before ? `${before}, ` : ""}${address}\r\n` +
    `X-Forwarded-Proto: ${said.get("x-forwarded-proto") ?? origin.proto}\r\n` +
    `X-Forwarded-Host: ${said.get("x-forwarded-host") ?? host}\r\n` +
    // The last address was added by the proxy itself; those before it may be forged by its client.
    `X-Real-IP: ${before?.split(",").at(-1)!.trim() || address}\r\n` +
    others
  );
}

const KNOWN = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"];

const empty: readonly number[] = [];

/**
 * The head of the answer that was read last, as the client gets it; null when it needs no change. `isRaw`: the client
 * speaks HTTP/1.0, so the Transfer-Encoding line is removed too. `extra`: a line of the relay's own.
 */
export function answerFor(
  buffer: Buffer,
  start: number,
  isClosing: boolean,
  isRaw: boolean,
  extra: Buffer | null = null,
): Buffer | null {
  const head: AnswerHead = answer;
  const isSwitching = head.code === 101;
  const cuts = isSwitching ? empty : head.cuts;
  if (cuts.length === 0 && !isClosing && !isRaw && extra === null && head.minor === 1) return null;
  if (isRaw && head.codingAt !== -1) {
    head.cuts.push(head.codingAt, head.codingEnd);
    sortCuts(head.cuts);
  }
  const out = Buffer.allocUnsafe(head.fieldsEnd - start + (extra?.length ?? 0) + CLOSE.length + END.length);
  let at = copyKept(out, buffer, start, head.fieldsEnd, cuts);
  out[7] = 49; // HTTP/1.1: the version is the relay's, not the app's
  if (extra !== null) at = put(out, at, extra);
  if (isClosing) at = put(out, at, CLOSE);
  return out.subarray(0, put(out, at, END));
}
