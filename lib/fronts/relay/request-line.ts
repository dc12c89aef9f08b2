// The first line of a request: a method, a path or URL, HTTP/1.0 or HTTP/1.1, and nothing else.
import { CR, LF, SP, TARGET, TOKEN, isWord } from "./bytes.ts";
import { type Head, INCOMPLETE, refuse } from "./field.ts";

/** The parsed head of a request. */
export interface RequestHead extends Head {
  /** The start of the request line, which a CRLF may precede. */
  start: number;
  /** The start of the empty line. */
  fieldsEnd: number;
  /** The target is a URL, not a path: the result of `inOriginForm` must be read instead. */
  isAbsolute: boolean;
  isHead: boolean;
  /** The request may be sent twice: GET, HEAD, PUT, DELETE, OPTIONS. */
  isIdempotent: boolean;
  expectsContinue: boolean;
  /** The start and end of the Host value. */
  hostAt: number;
  hostEnd: number;
  /** It asks for an upgrade to a protocol that may be passed on. */
  hasUpgrade: boolean;
  /** The start and end of the Upgrade line. */
  upgradeAt: number;
  upgradeEnd: number;
  /** The start and end of the value of X-Dp-Check; -1: there is none. */
  passAt: number;
  passEnd: number;
  /** The Authorization lines: line start, value start, value end, line end. */
  credentials: number[];
  /** The peer's X-Forwarded-* and similar fields, as triples: line start, value start, value end. */
  forwarded: number[];
}

/** Reads method, target and version into the head; returns the position after the line, INCOMPLETE or REFUSED. */
export function readRequestLine(head: RequestHead, buffer: Buffer, start: number, end: number): number {
  let at = start;
  // One CRLF before a request is allowed: old clients send it after a body.
  if (at < end && buffer[at] === CR) {
    if (at + 1 >= end) return INCOMPLETE;
    if (buffer[at + 1] !== LF) return refuse(head, 400, "a bare CR");
    at += 2;
  }
  head.start = at;
  while (at < end && TOKEN[buffer[at]!] === 1 && at - head.start < 32) at++;
  if (at >= end) return INCOMPLETE;
  if (buffer[at] !== SP || at === head.start) return refuse(head, 400, "no method, or a bad one");
  const target = at + 1;
  takeMethod(head, buffer, head.start, at);
  at = target;
  while (at < end && TARGET[buffer[at]!] === 1) at++;
  if (at >= end) return INCOMPLETE;
  if (buffer[at] !== SP) return refuse(head, 400, "a request line without version, or a bad byte in its target");
  head.isAbsolute = isUrl(buffer, target, at);
  if (!head.isAbsolute && !isPath(buffer, head.start, target, at))
    return refuse(head, 400, "a target that is not a path");
  return readVersion(head, buffer, at + 1, end);
}

/** "/…", or "*" for OPTIONS. */
function isPath(buffer: Buffer, start: number, target: number, end: number): boolean {
  if (target < end && buffer[target] === 47) return true;
  return end - target === 1 && buffer[target] === 42 && target - start === 8 && isExactly(buffer, start, "OPTIONS");
}

/** "http://…", "https://…": every server must accept these, though clients send them only to proxies. */
function isUrl(buffer: Buffer, target: number, end: number): boolean {
  if (end - target < 8 || !isWord(buffer, target, "http")) return false;
  const colon = isWord(buffer, target + 4, "s") ? target + 5 : target + 4;
  return isExactly(buffer, colon, "://");
}

const VERSION = "HTTP/1.";

function readVersion(head: RequestHead, buffer: Buffer, start: number, end: number): number {
  for (let i = 0; i < VERSION.length; i++) {
    if (start + i >= end) return INCOMPLETE;
    const code = buffer[start + i]!;
    if (code === VERSION.charCodeAt(i)) continue;
    // "HTTP/2.0" from the HTTP/2 preface, or "HTTP/3".
    if (i === 5 && code >= 48 && code <= 57) return refuse(head, 505, "a version other than HTTP/1.1");
    return refuse(head, 400, "a bad version");
  }
  const at = start + VERSION.length;
  if (at >= end) return INCOMPLETE;
  head.minor = buffer[at]! - 48;
  if (head.minor !== 0 && head.minor !== 1) return refuse(head, 505, "a version other than HTTP/1.1");
  if (at + 1 >= end) return INCOMPLETE;
  if (buffer[at + 1] !== CR) return refuse(head, 400, "a request line that does not end after its version");
  if (at + 2 >= end) return INCOMPLETE;
  return buffer[at + 2] === LF ? at + 3 : refuse(head, 400, "a bare CR");
}

/** Whether the bytes from `at` on are exactly `word`. */
export function isExactly(buffer: Buffer, at: number, word: string): boolean {
  for (let i = 0; i < word.length; i++) if (buffer[at + i] !== word.charCodeAt(i)) return false;
  return true;
}

function takeMethod(head: RequestHead, buffer: Buffer, at: number, end: number): void {
  const size = end - at;
  head.isHead = size === 4 && isExactly(buffer, at, "HEAD");
  head.isIdempotent =
    head.isHead ||
    (size === 3 && (isExactly(buffer, at, "GET") || isExactly(buffer, at, "PUT"))) ||
    (size === 6 && isExactly(buffer, at, "DELETE")) ||
    (size === 7 && isExactly(buffer, at, "OPTIONS"));
}
