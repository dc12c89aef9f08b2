// Parses the head of a request strictly: anything that two servers could read in two ways is refused.
import { HOST, isWord } from "./bytes.ts";
import {
  INCOMPLETE,
  REFUSED,
  checkFraming,
  clear,
  empty,
  emptyHead,
  readFields,
  refuse,
  sortCuts,
  takeCoding,
  takeConnection,
  takeLength,
} from "./field.ts";
import { HEAD_SIZE } from "./limits.ts";
import { isExactly, readRequestLine, type RequestHead } from "./request-line.ts";

/** The head that was read last. */
export const request: RequestHead = {
  ...emptyHead(false),
  start: 0,
  fieldsEnd: 0,
  isAbsolute: false,
  isHead: false,
  isIdempotent: false,
  expectsContinue: false,
  hostAt: -1,
  hostEnd: -1,
  hasUpgrade: false,
  upgradeAt: -1,
  upgradeEnd: -1,
  passAt: -1,
  passEnd: -1,
  credentials: [],
  forwarded: [],
};

/** Reads a head into `request`; returns the position after it, INCOMPLETE or REFUSED. The caller keeps the bytes. */
export function readRequest(buffer: Buffer, start: number, end: number): number {
  clear(request);
  request.hostAt = request.upgradeAt = request.passAt = -1;
  request.hasUpgrade = request.expectsContinue = false;
  empty(request.forwarded);
  empty(request.credentials);
  const limit = Math.min(end, start + HEAD_SIZE);
  let at = readRequestLine(request, buffer, start, limit);
  if (at > 0) at = readFields(request, buffer, at, limit, visit);
  if (at === INCOMPLETE && limit - start === HEAD_SIZE)
    return refuse(request, 431, `a head of more than ${HEAD_SIZE} bytes`);
  if (at <= 0) return at;
  request.fieldsEnd = at - 2;
  return isSound(buffer) ? at : REFUSED;
}

/** Handles the fields that the relay reads or removes. It switches on the length of the name, which rules out most fields. */
function visit(head: RequestHead, b: Buffer, at: number, nameEnd: number, value: number, end: number, next: number) {
  switch (nameEnd - at) {
    case 2:
      // Trailers are passed on, but a compressed message could not be read.
      if (isWord(b, at, "te") && !(end - value === 8 && isWord(b, value, "trailers"))) head.cuts.push(at, next);
      return true;
    case 4:
      return isWord(b, at, "host") ? takeHost(b, value, end) : true;
    case 5:
      // Through CGI it would become HTTP_PROXY, from which programs take their own proxy.
      if (isWord(b, at, "proxy")) head.cuts.push(at, next);
      return true;
    case 6:
      if (isWord(b, at, "expect")) head.expectsContinue = true;
      return true;
    case 7:
      return isWord(b, at, "upgrade") ? takeUpgrade(b, at, value, end, next) : true;
    case 9:
      if (isWord(b, at, "forwarded") || isWord(b, at, "x-real-ip")) takeForwarded(at, value, end, next);
      return true;
    case 10:
      if (takesTen(head, b, at, value, end)) head.cuts.push(at, next);
      return true;
    case 13:
      if (isWord(b, at, "authorization")) head.credentials.push(at, value, end, next);
      break;
    case 14:
      if (isWord(b, at, "content-length")) return isPlain(b, at, nameEnd) && takeLength(head, b, value, end);
      if (isWord(b, at, "http2-settings")) head.cuts.push(at, next);
      break;
    case 16:
      if (isWord(b, at, "proxy-connection")) head.cuts.push(at, next);
      break;
    case 17:
      if (isWord(b, at, "transfer-encoding")) return isPlain(b, at, nameEnd) && takeCoding(head, b, value, end);
      break;
  }
  if (nameEnd - at > 12 && isWord(b, at, "x-forwarded-")) takeForwarded(at, value, end, next);
  return true;
}

/** "Content_Length" is not Content-Length, but some apps would treat it as such. */
function isPlain(buffer: Buffer, at: number, end: number): boolean {
  const under = buffer.indexOf(95, at);
  return under === -1 || under >= end || refuse(request, 400, 'a framing field with "_" in its name') !== REFUSED;
}

function takeHost(buffer: Buffer, at: number, end: number): boolean {
  if (request.hostAt !== -1) return refuse(request, 400, "Host twice") !== REFUSED;
  for (let i = at; i < end; i++)
    if (HOST[buffer[i]!] === 0) return refuse(request, 400, "a Host that is none") !== REFUSED;
  if (at === end) return refuse(request, 400, "an empty Host") !== REFUSED;
  request.hostAt = at;
  request.hostEnd = end;
  return true;
}

function takeUpgrade(buffer: Buffer, at: number, value: number, end: number, next: number): boolean {
  if (request.upgradeAt !== -1) return refuse(request, 400, "Upgrade twice") !== REFUSED;
  request.upgradeAt = at;
  request.upgradeEnd = next;
  // HTTP/2 in a tunnel would carry requests past the rules above.
  request.hasUpgrade = !/\bh2c?\b/i.test(buffer.toString("latin1", value, end));
  return true;
}

/** Handles a field whose name has ten characters; returns whether it is the relay's alone. */
function takesTen(head: RequestHead, b: Buffer, at: number, value: number, end: number): boolean {
  if (isWord(b, at, "connection")) takeConnection(head, b, value, end);
  else if (isWord(b, at, "x-dp-check")) {
    head.passAt = value;
    head.passEnd = end;
  } else return isWord(b, at, "keep-alive");
  return true;
}

function takeForwarded(at: number, value: number, end: number, next: number): void {
  request.forwarded.push(at, value, end);
  request.cuts.push(at, next);
}

/** Checks that need the whole head. */
function isSound(buffer: Buffer): boolean {
  if (request.minor === 1 && request.hostAt === -1) return refuse(request, 400, "no Host") !== REFUSED;
  if (!checkFraming(request)) return false;
  if (isExactly(buffer, request.start, "CONNECT ")) return refuse(request, 405, "CONNECT") !== REFUSED;
  const hasBody = request.isChunked || request.length > 0;
  request.hasUpgrade &&= request.isUpgrade && request.minor === 1 && !hasBody;
  if (request.upgradeAt !== -1 && !request.hasUpgrade) {
    request.cuts.push(request.upgradeAt, request.upgradeEnd);
    sortCuts(request.cuts);
  }
  return true;
}
