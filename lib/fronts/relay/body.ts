// Where the body of a message ends: by length, by chunks, or with the connection.
import { CR, HEX, LF } from "./bytes.ts";
import { type Head, REFUSED, clear, isFramingField, readFields } from "./field.ts";
import { CHUNK_DIGITS, TRAILER_SIZE } from "./limits.ts";

/** How a body's end is found. */
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

/** A body that is being read. */
export interface Body {
  kind: number;
  isDone: boolean;
  /** Bytes left of the body, or of the chunk. */
  left: number;
  state: number;
  /** Digits of the size so far. */
  count: number;
  trailer: string;
  /** When set: the places of the data, as pairs of start and end, for those who want no chunks. */
  spans: number[] | null;
}

/** A body that has ended. */
export const makeBody = (): Body => ({
  kind: NONE,
  isDone: true,
  left: 0,
  state: SIZE,
  count: 0,
  trailer: "",
  spans: null,
});

/** Starts a body; `length` counts for LENGTH only. */
export function startBody(body: Body, kind: number, length: number): void {
  body.kind = kind;
  body.left = kind === LENGTH ? length : 0;
  body.isDone = kind === NONE || (kind === LENGTH && length === 0);
  body.state = SIZE;
  body.count = 0;
  body.trailer = "";
  body.spans = null;
}

/** Takes what belongs to the body from `[start, end)`; gives the place after it, or REFUSED. */
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
    } else if (!takeByte(body, buffer[at++]!)) return REFUSED;
  }
  return at;
}

/** One byte between the chunks: "1f", CR, LF. */
function takeByte(body: Body, byte: number): boolean {
  switch (body.state) {
    case SIZE: {
      const digit = HEX[byte]!;
      if (digit >= 0) {
        body.left = body.left * 16 + digit;
        return ++body.count <= CHUNK_DIGITS;
      }
      // No ";extension": nobody sends one but to find servers that end it elsewhere.
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

const trailerHead: Head = {
  status: 0,
  why: "",
  minor: 1,
  length: -1,
  isChunked: false,
  isClose: false,
  isKeepAlive: false,
  isUpgrade: false,
  cuts: [],
};

/** The fields after the last chunk: kept until the empty line, then read like those of a head. */
function takeTrailer(body: Body, buffer: Buffer, start: number, end: number): number {
  if (body.trailer === "" && end - start >= 2 && buffer[start] === CR && buffer[start + 1] === LF) {
    body.isDone = true;
    return start + 2;
  }
  let at = start;
  while (at < end && body.trailer.length < TRAILER_SIZE) {
    body.trailer += String.fromCharCode(buffer[at++]!);
    if (!body.trailer.endsWith("\r\n")) continue;
    if (body.trailer !== "\r\n" && !body.trailer.endsWith("\r\n\r\n")) continue;
    const text = Buffer.from(body.trailer, "latin1");
    clear(trailerHead);
    if (readFields(trailerHead, text, 0, text.length, isTrailer) !== text.length) return REFUSED;
    body.isDone = true;
    return at;
  }
  return body.trailer.length < TRAILER_SIZE ? at : REFUSED;
}

const isTrailer = (_head: Head, buffer: Buffer, at: number, nameEnd: number) => !isFramingField(buffer, at, nameEnd);
