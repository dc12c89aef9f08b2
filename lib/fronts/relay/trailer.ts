// The fields after the last chunk of a body.
import { CR, LF } from "./bytes.ts";
import { type Head, REFUSED, clear, emptyHead, isFramingField, readFields } from "./field.ts";
import { TRAILER_SIZE } from "./limits.ts";

/** The part of a body's state that reading its trailer needs. */
export interface Trailer {
  isDone: boolean;
  /** The bytes of the trailer so far. */
  trailer: string;
  /** When set: the trailer is cut where it stands and passed on as `kept`. Otherwise it is passed on as it arrives. */
  cuts: number[] | null;
  /** After the end of a body with cuts: the trailer without the fields that no trailer may have. */
  kept: Buffer | null;
}

const head: Head = emptyHead(false);

/**
 * Reads bytes until the empty line, then parses them like the fields of a head; returns the position after them, or
 * REFUSED.
 */
export function takeTrailer(body: Trailer, buffer: Buffer, start: number, end: number): number {
  if (body.trailer === "" && end - start >= 2 && buffer[start] === CR && buffer[start + 1] === LF) {
    body.isDone = true;
    return start + 2;
  }
  let at = start;
  while (at < end && !body.isDone && body.trailer.length < TRAILER_SIZE) {
    body.trailer += String.fromCharCode(buffer[at++]!);
    if (!body.trailer.endsWith("\r\n")) continue;
    body.isDone = body.trailer === "\r\n" || body.trailer.endsWith("\r\n\r\n");
  }
  body.cuts?.push(start, at);
  if (body.isDone) return readTrailer(body) ? at : REFUSED;
  return body.trailer.length < TRAILER_SIZE ? at : REFUSED;
}

function readTrailer(body: Trailer): boolean {
  const text = Buffer.from(body.trailer, "latin1");
  clear(head);
  const visit = body.cuts === null ? isAllowed : leaveOut;
  if (readFields(head, text, 0, text.length, visit) !== text.length) return false;
  if (body.cuts !== null) body.kept = without(text, head.cuts);
  return true;
}

const isAllowed = (_head: Head, buffer: Buffer, at: number, nameEnd: number) => !isFramingField(buffer, at, nameEnd);

function leaveOut(of: Head, buffer: Buffer, at: number, nameEnd: number, _: number, __: number, next: number): true {
  if (isFramingField(buffer, at, nameEnd)) of.cuts.push(at, next);
  return true;
}

function without(text: Buffer, cuts: readonly number[]): Buffer {
  const pieces: Buffer[] = [];
  let from = 0;
  for (let i = 0; i < cuts.length; i += 2) {
    pieces.push(text.subarray(from, cuts[i]!));
    from = cuts[i + 1]!;
  }
  return Buffer.concat([...pieces, text.subarray(from)]);
}
