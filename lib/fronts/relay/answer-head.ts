// The head of an app's answer: status, framing, and the fields meant for the relay alone.
import { CR, LF, SP, VALUE, isWord } from "./bytes.ts";
import {
  type Head,
  INCOMPLETE,
  REFUSED,
  checkFraming,
  clear,
  emptyHead,
  readFields,
  refuse,
  takeCoding,
  takeConnection,
  takeLength,
} from "./field.ts";
import { HEAD_SIZE } from "./limits.ts";

/** The parsed head of an answer. */
export interface AnswerHead extends Head {
  /** The answer's own status code; `status` is the code of a refusal. */
  code: number;
  fieldsEnd: number;
  /** The start and end of the Transfer-Encoding line, which an HTTP/1.0 client does not get. */
  codingAt: number;
  codingEnd: number;
}

/** The head that was read last. */
export const answer: AnswerHead = {
  ...emptyHead(true),
  code: 0,
  fieldsEnd: 0,
  codingAt: -1,
  codingEnd: -1,
};

/** Reads a head into `answer`; returns the position after it, INCOMPLETE or REFUSED. */
export function readAnswer(buffer: Buffer, start: number, end: number): number {
  clear(answer);
  answer.codingAt = -1;
  const limit = Math.min(end, start + HEAD_SIZE);
  let at = readLine(buffer, start, limit);
  if (at > 0) at = readFields(answer, buffer, at, limit, visit);
  if (at === INCOMPLETE && limit - start === HEAD_SIZE)
    return refuse(answer, 502, `a head of more than ${HEAD_SIZE} bytes`);
  if (at <= 0) return at;
  answer.fieldsEnd = at - 2;
  return checkFraming(answer) ? at : REFUSED;
}

const START = "HTTP/1.";

/** "HTTP/1.1 200 OK"; the reason phrase may be missing. */
function readLine(buffer: Buffer, start: number, end: number): number {
  for (let i = 0; i < START.length; i++) {
    if (start + i >= end) return INCOMPLETE;
    if (buffer[start + i] !== START.charCodeAt(i)) return refuse(answer, 502, "no HTTP/1.1");
  }
  if (start + 13 > end) return INCOMPLETE;
  answer.minor = buffer[start + 7]! - 48;
  if (answer.minor !== 0 && answer.minor !== 1) return refuse(answer, 502, "no HTTP/1.1");
  if (buffer[start + 8] !== SP) return refuse(answer, 502, "a bad status line");
  answer.code = 0;
  for (let i = 9; i < 12; i++) {
    const digit = buffer[start + i]! - 48;
    if (digit < 0 || digit > 9) return refuse(answer, 502, "a bad status line");
    answer.code = answer.code * 10 + digit;
  }
  if (answer.code < 100) return refuse(answer, 502, "a bad status line");
  let at = start + 12;
  if (buffer[at] !== SP && buffer[at] !== CR) return refuse(answer, 502, "a bad status line");
  while (at < end && VALUE[buffer[at]!] === 1) at++;
  if (at + 1 >= end) return INCOMPLETE;
  return buffer[at] === CR && buffer[at + 1] === LF ? at + 2 : refuse(answer, 502, "a bad status line");
}

function visit(head: AnswerHead, b: Buffer, at: number, nameEnd: number, value: number, end: number, next: number) {
  switch (nameEnd - at) {
    case 10:
      if (isWord(b, at, "connection")) takeConnection(head, b, value, end);
      else if (!isWord(b, at, "keep-alive")) return true;
      head.cuts.push(at, next);
      return true;
    case 14:
      return isWord(b, at, "content-length") ? takeLength(head, b, value, end) : true;
    case 16:
      if (isWord(b, at, "proxy-connection")) head.cuts.push(at, next);
      return true;
    case 17:
      if (!isWord(b, at, "transfer-encoding")) return true;
      head.codingAt = at;
      head.codingEnd = next;
      return takeCoding(head, b, value, end);
    default:
      return true;
  }
}
