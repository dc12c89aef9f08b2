// The relay's reading of HTTP/1.1, as functions: a corpus, and fuzz over where the bytes are cut.
import { describe, expect, test } from "bun:test";
import { makeBody, startBody, takeBody } from "../../../lib/fronts/relay/body.ts";
import { CHUNKED } from "../../../lib/fronts/relay/body.ts";
import { decimal, isWord } from "../../../lib/fronts/relay/bytes.ts";
import { readAnswer } from "../../../lib/fronts/relay/answer-head.ts";
import { corpus } from "./support/corpus.ts";
import { freshSeed, mutated, random } from "./support/fuzz.ts";
import { readStream } from "./support/reader.ts";

const bytesOf = (text: string) => Buffer.from(text, "latin1");

describe("the corpus", () => {
  test.each(corpus.map(({ name, bytes, status }) => [status, name, bytes] as const))(
    "%d: %s",
    (status, _name, text) => {
      const reading = readStream([bytesOf(text)]);
      expect(reading.refused || 200).toBe(status);
      if (status === 200) expect(reading).toMatchObject({ passed: [expect.any(String)], isPartial: false });
    },
  );

  test.each(corpus.map(({ name, bytes, status }) => [name, bytes, status] as const))(
    "%s, byte by byte, is the same",
    (_name, text, status) => {
      // A head that never ends is what the time limit is for; here the rest of the bytes tells.
      const pieces = [...bytesOf(text)].map((byte) => Buffer.from([byte]));
      const reading = readStream(pieces.length > 10_000 ? [bytesOf(text)] : pieces);
      expect(reading.refused || 200).toBe(status);
    },
  );
});

function inPieces(buffer: Buffer, below: (limit: number) => number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < buffer.length;) {
    const size = 1 + below(below(2) === 0 ? 4 : 200);
    pieces.push(buffer.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

test.each([1, freshSeed])("where a stream is cut changes nothing (FUZZ_SEED=%d)", (seed) => {
  const below = random(seed);
  let refused = 0;
  for (let i = 0; i < 20_000; i++) {
    const buffer = bytesOf(mutated(below));
    const whole = readStream([buffer]);
    const cut = readStream(inPieces(buffer, below));
    if (whole.refused > 0) refused++;
    if (!Bun.deepEquals(whole.passed, cut.passed) || whole.refused !== cut.refused) {
      // A body that turns out bad is passed on up to there: how far depends on what was there at the time.
      const isBody = whole.refused === 400 && cut.refused === 400 && whole.passed.length === cut.passed.length;
      const last = whole.passed.length - 1;
      const same = isBody && Bun.deepEquals(whole.passed.slice(0, last), cut.passed.slice(0, last));
      if (!same || !cut.passed[last]!.startsWith(whole.passed[last]!))
        throw new Error(`cut in pieces it is read otherwise: ${JSON.stringify(buffer.toString("latin1"))}`);
    }
  }
  // The fuzz must meet both: streams that are refused, and streams that are not.
  expect(refused).toBeWithin(2_000, 18_000);
});

test.each([1, freshSeed])("what is passed on is read the same way again (FUZZ_SEED=%d)", (seed) => {
  const below = random(seed ^ 0x5eed);
  for (let i = 0; i < 10_000; i++) {
    const buffer = bytesOf(mutated(below));
    const { passed, isPartial, refused } = readStream([buffer]);
    if (isPartial || refused > 0) continue;
    const again = readStream([bytesOf(passed.join(""))]);
    if (again.refused > 0 || again.isPartial || again.passed.length !== passed.length)
      throw new Error(
        `passed on, it is ${again.passed.length} requests, not ${passed.length}: ${JSON.stringify(passed)}`,
      );
  }
});

test.each([
  ["0", 0],
  ["12", 12],
  ["999999999999999", 999_999_999_999_999],
  ["1000000000000000", -1],
  ["", -1],
  ["01", -1],
  ["1a", -1],
])("decimal %j is %d", (text, expected) => {
  expect(decimal(Buffer.from(text), 0, text.length, 15)).toBe(expected);
});

test.each([
  ["Content-Length", "content-length", true],
  ["CONTENT_LENGTH", "content-length", true],
  ["Content.Length", "content-length", false],
])("%s is %s: %p", (text, word, expected) => {
  expect(isWord(Buffer.from(text), 0, word)).toBe(expected);
});

test("data of chunks can be had without the chunks", () => {
  const body = makeBody();
  startBody(body, CHUNKED, -1);
  body.spans = [];
  const text = "3\r\nabc\r\nA\r\n0123456789\r\n0\r\nA: b\r\n\r\nNEXT";
  expect(takeBody(body, Buffer.from(text), 0, text.length)).toBe(text.length - 4);
  const data = Array.from({ length: body.spans.length / 2 }, (_, i) =>
    text.slice(body.spans![2 * i], body.spans![2 * i + 1]),
  );
  expect(data.join("")).toBe("abc0123456789");
});

test.each([
  [
    "extensions and space",
    "3;a=b\r\nabc\r\nA \t\r\n0123456789\r\n0 ;c\r\n\r\n",
    "3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
  ],
  ["a trailer", "3\r\nabc\r\n0\r\nA: b\r\nHost: c\r\nD: e\r\n\r\n", "3\r\nabc\r\n0\r\nA: b\r\nD: e\r\n\r\n"],
])("%s can be left out, wherever the bytes are cut", (_name, text, expected) => {
  for (const pieces of [[bytesOf(text)], ...cutsOf(text), [...text].map(bytesOf)]) {
    const body = makeBody();
    startBody(body, CHUNKED, -1);
    const cuts: number[] = (body.cuts = []);
    let passed = "";
    for (const piece of pieces) {
      cuts.length = 0;
      expect(takeBody(body, piece, 0, piece.length)).toBe(piece.length);
      let from = 0;
      for (let i = 0; i < cuts.length; i += 2) {
        passed += piece.toString("latin1", from, cuts[i]);
        from = cuts[i + 1]!;
      }
      passed += piece.toString("latin1", from);
    }
    expect(passed + (body.kept?.toString("latin1") ?? "")).toBe(expected);
    expect(body.isDone).toBe(true);
  }
});

/** A text in two pieces, in every way. */
const cutsOf = (text: string) =>
  Array.from({ length: text.length - 1 }, (_, i) => [bytesOf(text.slice(0, i + 1)), bytesOf(text.slice(i + 1))]);

test.each(["HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "HTTP/1.0 404\r\n\r\n", "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\n"])(
  "the head of an answer is complete at its end and not before: %j",
  (text) => {
    const buffer = bytesOf(text);
    expect(readAnswer(buffer, 0, buffer.length)).toBe(buffer.length);
    for (let end = 0; end < buffer.length; end++) expect(readAnswer(buffer, 0, end)).toBe(0);
  },
);
