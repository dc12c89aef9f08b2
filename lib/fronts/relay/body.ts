// Finds the end of a message's body: by length, by chunks, or by the end of the connection.
import { CR, HEX, LF, SEMICOLON, SP, TAB, VALUE } from "./bytes.ts";
import { REFUSED } from "./field.ts";
import { CHUNK_DIGITS, EXTENSION_SIZE } from "./limits.ts";
import { type Trailer, takeTrailer } from "./trailer.ts";

/** How the end of a body is found. */
export const NONE = 0;
export const LENGTH = 1;
export const CHUNKED = 2;
export const UNTIL_CLOSE = 3;

const SIZE = 0;
const SIZE_LF = 1;
const DATA = 2;
const DATA_CR = 3;
const DATA_LF = 4;
const TRAILER = 5;
const EXTENSION = 6;

/**
 * A body that is being read. With `cuts`, parts that RFC 9112 allows between chunks and nobody needs are left out: `cuts`
 * lists the positions of extensions, the space before them and trailers, as pairs of start and end. Without `cuts`,
 * extensions are refused.
 */
export interface Body extends Trailer {
  kind: number;
  /** Bytes left in the body, or in the chunk. */
  left: number;
  state: number;
  /** Digits of the chunk size so far. */
  count: number;
  /** Whether the ";" of an extension has been read, and the number of bytes after the size so far. */
  hasExtension: boolean;
  extra: number;
  /** When set: the positions of the data, as pairs of start and end, for a client that cannot read chunks. */
  spans: number[] | null;
}

/** A body in its final state. */
export const makeBody = (): Body => ({
  kind: NONE,
  isDone: true,
  left: 0,
  state: SIZE,
  count: 0,
  hasExtension: false,
  extra: 0,
  trailer: "",
  spans: null,
  cuts: null,
  kept: null,
});

/** Starts a body; `length` is used for LENGTH only. */
export function startBody(body: Body, kind: number, length: number): void {
  body.kind = kind;
  body.left = kind === LENGTH ? length : 0;
  body.isDone = kind === NONE || (kind === LENGTH && length === 0);
  body.state = SIZE;
  body.count = 0;
  body.hasExtension = false;
  body.extra = 0;
  body.trailer = "";
  body.spans = body.cuts = body.kept = null;
}

/** Reads the part of `[start, end)` that belongs to the body; returns the position after it, or REFUSED. */
export function takeBody(body: Body, buffer: Buffer, start: number, end: number): number {
  if (body.isDone) return start;
  if (body.kind === CHUNKED) return takeChunks(body, buffer, start, end);
  if (body.kind === UNTIL_CLOSE) return end;
  const taken = Math.min(body.left, end - start);
  body.left -= taken;
  body.isDone = body.left === 0;
  return start + taken;
}

function takeChunks(body: Body, buffer: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end && !body.isDone) {
    if (body.state === DATA) {
      const to = Math.min(end, at + body.left);
      body.spans?.push(at, to);
      body.left -= to - at;
      at = to;
      if (body.left === 0) body.state = DATA_CR;
    } else if (body.state === TRAILER) {
      at = takeTrailer(body, buffer, at, end);
      if (at === REFUSED) return REFUSED;
    } else if (body.state === EXTENSION || (body.cuts !== null && isExtension(body, buffer[at]!))) {
      at = takeExtension(body, buffer, at, end);
      if (at === REFUSED) return REFUSED;
    } else if (!takeByte(body, buffer[at++]!)) return REFUSED;
  }
  return at;
}

/** Whether the chunk size is complete and an extension follows. */
const isExtension = (body: Body, byte: number) =>
  body.state === SIZE && body.count > 0 && (byte === SEMICOLON || byte === SP || byte === TAB);

/** Reads what is between a chunk's size and the end of its line: space, then text that begins with ";". It is left out. */
function takeExtension(body: Body, buffer: Buffer, start: number, end: number): number {
  body.state = EXTENSION;
  let at = start;
  for (; at < end && buffer[at] !== CR; at++) {
    const byte = buffer[at]!;
    if (byte === SEMICOLON) body.hasExtension = true;
    else if (VALUE[byte] === 0 || (!body.hasExtension && byte !== SP && byte !== TAB)) return REFUSED;
    if (++body.extra > EXTENSION_SIZE) return REFUSED;
  }
  body.cuts!.push(start, at);
  if (at === end) return at;
  body.hasExtension = false;
  body.extra = 0;
  body.state = SIZE_LF;
  return at + 1;
}

/** Reads one byte between the chunks: "1f", CR, LF. */
function takeByte(body: Body, byte: number): boolean {
  switch (body.state) {
    case SIZE: {
      const digit = HEX[byte]!;
      if (digit >= 0) {
        body.left = body.left * 16 + digit;
        return ++body.count <= CHUNK_DIGITS;
      }
      // A client's ";extension" is refused: they are only used to find servers that disagree about the end of the line.
      body.state = SIZE_LF;
      return byte === CR && body.count > 0;
    }
    case SIZE_LF:
      body.count = 0;
      body.state = body.left === 0 ? TRAILER : DATA;
      return byte === LF;
    case DATA_CR:
      body.state = DATA_LF;
      return byte === CR;
    default:
      body.state = SIZE;
      return byte === LF;
  }
}
