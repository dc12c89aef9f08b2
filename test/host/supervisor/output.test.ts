// The log of a builtin instance: written through rotations, and read through them, without a line lost.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { keepOutput, openOutput, parseLine, reader } from "../../../lib/host/supervisor/output.ts";
import { lineSink } from "../../../lib/host/sink.ts";

let folder: string;
let log: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "dp-output-"));
  log = join(folder, "log");
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Everything that a reader hands over at once, as texts. */
function collector(path: string) {
  const lines: string[] = [];
  const sink = lineSink((line) => void lines.push(parseLine(line)[0]));
  const from = reader(path);
  return { lines, look: () => from.read((chunk) => sink.print(chunk)), close: from.close };
}

describe("writing", () => {
  test("each line has its time", () => {
    const before = Date.now();
    const output = openOutput(log);
    output.write("hello world");
    output.close();
    const [text, time] = parseLine(readFileSync(log, "utf8").trimEnd());
    expect(text).toBe("hello world");
    expect(Date.parse(time!)).toBeGreaterThanOrEqual(before);
    expect(Date.parse(time!)).toBeLessThanOrEqual(Date.now());
  });

  test("two files at most, both bounded", () => {
    const output = openOutput(log, 1_000);
    for (let number = 0; number < 1_000; number++) output.write(`line ${number}`);
    output.close();
    for (const path of [log, `${log}.1`]) expect(statSync(path).size).toBeLessThan(1_100);
    expect(existsSync(`${log}.2`)).toBe(false);
    expect(readFileSync(log, "utf8")).toEndWith("line 999\n");
  });

  test("after a rotation that was done by half, a file is there again", () => {
    const output = openOutput(log, 100);
    output.write("x".repeat(100));
    renameSync(log, `${log}.1`); // and opening the next one failed
    output.write("after");
    output.close();
    expect(readFileSync(log, "utf8")).toEndWith(" after\n");
    expect(readFileSync(`${log}.1`, "utf8")).toContain("xxx");
  });

  test("a log that was there is gone on with", () => {
    writeFileSync(log, "old\n");
    const output = openOutput(log);
    output.write("new");
    output.close();
    expect(readFileSync(log, "utf8")).toMatch(/^old\n\S+ new\n$/);
  });

  test("is never a link to somewhere else", () => {
    symlinkSync(join(folder, "elsewhere"), log);
    expect(() => openOutput(log)).toThrow("ELOOP");
    expect(existsSync(join(folder, "elsewhere"))).toBe(false);
  });

  test("what comes in pieces is put together, and a line without end is cut", async () => {
    const pieces = ["on", "e\ntw", "o\n", "grü", "x".repeat(70_000)];
    const output = openOutput(log);
    const stream = new ReadableStream<Uint8Array>({
      start(to) {
        for (const piece of pieces) to.enqueue(Buffer.from(piece));
        to.close();
      },
    });
    await keepOutput(stream, output, new Promise(() => undefined));
    output.close();
    const lines = readFileSync(log, "utf8").trimEnd().split("\n");
    const texts = lines.map((line) => parseLine(line)[0]);
    expect(texts.slice(0, 2)).toEqual(["one", "two"]);
    expect(texts.slice(2).join("")).toBe(`grü${"x".repeat(70_000)}`);
    expect(Math.max(...texts.map((text) => text.length))).toBeLessThanOrEqual(64 * 1024);
  });

  test("a pipe that somebody keeps open is given up when told so", async () => {
    const giveUp = Promise.withResolvers<void>();
    const stream = new ReadableStream<Uint8Array>({ start: (to) => to.enqueue(Buffer.from("last words")) });
    const output = openOutput(log);
    const kept = keepOutput(stream, output, giveUp.promise);
    giveUp.resolve();
    await kept;
    output.close();
    expect(readFileSync(log, "utf8")).toEndWith(" last words\n");
  });
});

describe("reading", () => {
  test("what was rotated away between two looks is not missed", () => {
    const output = openOutput(log, 500);
    const { lines, look, close } = collector(log);
    for (let number = 0; number < 300; number++) {
      output.write(`line ${number}`);
      // A file holds 12 lines: some looks come before, some after a rotation.
      if (number % 7 === 0) look();
    }
    look();
    close();
    output.close();
    expect(lines).toEqual(Array.from({ length: 300 }, (_, number) => `line ${number}`));
  });

  test("begins with the older file", () => {
    const output = openOutput(log, 500);
    for (let number = 0; number < 20; number++) output.write(`line ${number}`);
    output.close();
    const { lines, look, close } = collector(log);
    look();
    close();
    expect(lines).toEqual(Array.from({ length: 20 }, (_, number) => `line ${number}`));
  });

  test("a log that is not there yet is empty, and then it is read", () => {
    const { lines, look, close } = collector(log);
    look();
    expect(lines).toEqual([]);
    const output = openOutput(log);
    output.write("first");
    look();
    close();
    output.close();
    expect(lines).toEqual(["first"]);
  });

  test.each([
    ["2026-03-01T12:04:11.123Z hello", ["hello", "2026-03-01T12:04:11.123Z"]],
    ["2026-03-01T12:04:11.123Z ", ["", "2026-03-01T12:04:11.123Z"]],
    ["listening on 8000", ["listening on 8000", null]],
  ] as const)("%j", (line, [text, time]) => expect(parseLine(line)).toEqual([text, time]));
});
