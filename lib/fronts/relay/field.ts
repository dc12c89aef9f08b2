// Parses the fields of a head: strictly, in one pass, with their effect on the message's framing.
import { COLON, CR, LF, SP, TAB, TOKEN, VALUE, decimal, isWord } from "./bytes.ts";
import { HEAD_FIELDS, LENGTH_DIGITS } from "./limits.ts";

/** Returned for a head that is not complete yet, and for a refused head. */
export const INCOMPLETE = 0;
export const REFUSED = -1;

/** The parsed head of a request or an answer. One object is reused for all of them. */
export interface Head {
  /** The status and reason for refusing the head. */
  status: number;
  why: string;
  /** True for an app's answer: space that RFC 9112 says to ignore or remove is no reason to refuse it. */
  readonly isAnswer: boolean;
  /** The minor version: HTTP/1.0 or HTTP/1.1. */
  minor: number;
  /** Content-Length, or -1. */
  length: number;
  isChunked: boolean;
  isClose: boolean;
  isKeepAlive: boolean;
  /** The Connection field contains Upgrade. */
  isUpgrade: boolean;
  /** Lines that are not passed on, as pairs of start and end. */
  cuts: number[];
}

/** A head that nothing was read into yet. */
export const emptyHead = (isAnswer: boolean): Head => ({
  status: 0,
  why: "",
  isAnswer,
  minor: 1,
  length: -1,
  isChunked: false,
  isClose: false,
  isKeepAlive: false,
  isUpgrade: false,
  cuts: [],
});

/** Clears the fields that both kinds of head have. */
export function clear(head: Head): void {
  head.status = 0;
  head.why = "";
  head.minor = 1;
  head.length = -1;
  head.isChunked = head.isClose = head.isKeepAlive = head.isUpgrade = false;
  empty(head.cuts);
}

/** Empties a list. Most are empty already, and to set the length costs more than to look at it. */
export function empty(list: number[]): void {
  if (list.length > 0) list.length = 0;
}

/** Refuses a head. */
export function refuse(head: Head, status: number, why: string): typeof REFUSED {
  head.status = status;
  head.why = why;
  return REFUSED;
}

/** Handles one field: name `[at, nameEnd)`, value `[valueAt, valueEnd)`, line `[at, lineEnd)`; returns false to refuse it. */
export type Visit<H extends Head> = (
  head: H,
  buffer: Buffer,
  at: number,
  nameEnd: number,
  valueAt: number,
  valueEnd: number,
  lineEnd: number,
) => boolean;

/** Reads fields up to the empty line; returns the position after it, INCOMPLETE or REFUSED. */
export function readFields<H extends Head>(
  head: H,
  buffer: Buffer,
  start: number,
  end: number,
  visit: Visit<H>,
): number {
  let at = start;
  for (let count = 0; ; count++) {
    if (at >= end) return INCOMPLETE;
    const line = at;
    while (at < end && TOKEN[buffer[at]!] === 1) at++;
    if (at >= end) return INCOMPLETE;
    if (at === line && buffer[at] === CR) {
      if (at + 1 >= end) return INCOMPLETE;
      return buffer[at + 1] === LF ? at + 2 : refuse(head, 400, "a bare CR");
    }
    const nameEnd = at;
    if (head.isAnswer) while (at < end && (buffer[at] === SP || buffer[at] === TAB)) at++;
    if (at >= end) return INCOMPLETE;
    if (buffer[at] !== COLON || nameEnd === line) return refuse(head, 400, nameProblem(buffer, line, nameEnd));
    if (count === HEAD_FIELDS) return refuse(head, 431, `more than ${HEAD_FIELDS} fields`);
    const colon = at++;
    while (at < end && (buffer[at] === SP || buffer[at] === TAB)) at++;
    const valueAt = at;
    while (at < end && VALUE[buffer[at]!] === 1) at++;
    if (at >= end) return INCOMPLETE;
    if (buffer[at] !== CR) return refuse(head, 400, valueProblem(buffer[at]!));
    if (at + 1 >= end) return INCOMPLETE;
    if (buffer[at + 1] !== LF) return refuse(head, 400, "a bare CR");
    let valueEnd = at;
    while (valueEnd > valueAt && (buffer[valueEnd - 1] === SP || buffer[valueEnd - 1] === TAB)) valueEnd--;
    at += 2;
    const { length } = head.cuts;
    if (!visit(head, buffer, line, nameEnd, valueAt, valueEnd, at)) return REFUSED;
    // A proxy must remove the space before a colon.
    if (colon > nameEnd && head.cuts.length === length) head.cuts.push(nameEnd, colon);
  }
}

function nameProblem(buffer: Buffer, line: number, at: number): string {
  const byte = buffer[at];
  if (at === line && (byte === SP || byte === TAB)) return "a folded line, or a space before a field's name";
  if (at === line && byte === COLON) return "a field without a name";
  if (byte === LF) return "a line that ends without CR";
  return byte === SP || byte === TAB ? "a space before a colon" : "a byte that no field's name has";
}

const valueProblem = (byte: number) => (byte === LF ? "a line that ends without CR" : "a control byte in a field");

/** Whether a framing field has no unusual space around its value: servers differ in the space they accept. */
const isBare = (head: Head, buffer: Buffer, at: number, end: number) =>
  head.isAnswer || (buffer[end] === CR && buffer[at - 1] !== TAB);

/** Content-Length: only once, and digits only. */
export function takeLength(head: Head, buffer: Buffer, at: number, end: number): boolean {
  if (!isBare(head, buffer, at, end)) return refuse(head, 400, "space around a Content-Length") !== REFUSED;
  const length = decimal(buffer, at, end, LENGTH_DIGITS);
  if (head.length !== -1) return refuse(head, 400, "Content-Length twice") !== REFUSED;
  if (length === -1) return refuse(head, 400, "a Content-Length that is no number") !== REFUSED;
  head.length = length;
  return true;
}

/** Transfer-Encoding: only "chunked", and only once. */
export function takeCoding(head: Head, buffer: Buffer, at: number, end: number): boolean {
  if (head.isChunked) return refuse(head, 400, "Transfer-Encoding twice") !== REFUSED;
  if (!isBare(head, buffer, at, end)) return refuse(head, 400, "space around a Transfer-Encoding") !== REFUSED;
  if (end - at !== 7 || !isWord(buffer, at, "chunked"))
    return refuse(head, 501, 'a Transfer-Encoding other than "chunked"') !== REFUSED;
  head.isChunked = true;
  return true;
}

/** Connection: the options that apply to this connection. */
export function takeConnection(head: Head, buffer: Buffer, at: number, end: number): void {
  for (const word of buffer.toString("latin1", at, end).toLowerCase().split(",")) {
    const token = word.trim();
    if (token === "close") head.isClose = true;
    else if (token === "keep-alive") head.isKeepAlive = true;
    else if (token === "upgrade") head.isUpgrade = true;
  }
}

/** Whether a field must not appear in a trailer: it would change a message that has already been read. */
export function isFramingField(buffer: Buffer, at: number, end: number): boolean {
  const size = end - at;
  if (size === 4) return isWord(buffer, at, "host");
  if (size === 9) return isWord(buffer, at, "forwarded") || isWord(buffer, at, "x-real-ip");
  if (size === 14) return isWord(buffer, at, "content-length");
  if (size === 17 && isWord(buffer, at, "transfer-encoding")) return true;
  return size > 12 && isWord(buffer, at, "x-forwarded-");
}

/** Refuses a head with two answers to where the body ends. */
export function checkFraming(head: Head): boolean {
  if (!head.isChunked) return true;
  if (head.length !== -1) return refuse(head, 400, "both Content-Length and Transfer-Encoding") !== REFUSED;
  if (head.minor === 0) return refuse(head, 400, "Transfer-Encoding in HTTP/1.0") !== REFUSED;
  return true;
}

/** Sorts cuts that were noted out of order; a cut inside another one is merged into it. */
export function sortCuts(cuts: number[]): void {
  const pairs: [number, number][] = [];
  for (let i = 0; i < cuts.length; i += 2) pairs.push([cuts[i]!, cuts[i + 1]!]);
  pairs.sort((a, b) => a[0] - b[0]);
  const outer = pairs.filter(([, end], i) => !pairs.slice(0, i).some((before) => before[1] >= end));
  cuts.splice(0, cuts.length, ...outer.flat());
}
