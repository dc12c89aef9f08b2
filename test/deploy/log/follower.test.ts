// A log that grows, printed to readers of every kind: fast, slow, gone, and none at all.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { appendFileSync, closeSync, mkdtempSync, readFileSync, readSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { follow } from "../../../lib/deploy/log/follower.ts";
import { pipe } from "../../../lib/host/process/libc.ts";
import { plainEnv } from "../../../lib/host/run.ts";
import { lineSink } from "../../../lib/host/sink.ts";

let folder: string;
let log: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "dp-follow-"));
  log = join(folder, "log");
  writeFileSync(log, "");
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Follows in a process of its own, whose deploy ends with 7 after it has grown the log by `megabytes`. */
const follower = (megabytes: number, start = 0) => `
  const { appendFileSync } = require("node:fs");
  const { follow } = await import(${JSON.stringify(join(import.meta.dir, "../../../lib/deploy/log/follower.ts"))});
  const log = ${JSON.stringify(log)};
  const grow = async () => {
    for (let part = 0; part < ${megabytes * 10}; part++) {
      appendFileSync(log, (String(part).padStart(6, "0") + " " + "x".repeat(1000) + "\\n").repeat(100));
      if (part % 10 === 0) await Bun.sleep(5);
    }
    return 7;
  };
  process.exitCode = await follow(log, ${start}, grow());
`;
const start = (script: string, stdout: number | "pipe") =>
  Bun.spawn([process.execPath, "-e", script], { env: plainEnv(), stdin: "ignore", stdout, stderr: "inherit" });

test("a reader that never reads does not keep it from its end", async () => {
  const [read, write] = pipe();
  const child = start(follower(3), write);
  closeSync(write);
  expect(await child.exited).toBe(7);
  // The pipe is full, and what is in it is the log's beginning.
  const buffer = Buffer.alloc(2 * 1024 * 1024);
  const count = readSync(read, buffer);
  closeSync(read);
  expect(count).toBeGreaterThan(0);
  expect(readFileSync(log).subarray(0, count).equals(buffer.subarray(0, count))).toBe(true);
}, 30_000);

test("a reader that has gone does not end it, nor change its answer", async () => {
  const [read, write] = pipe();
  const child = start(follower(1), write);
  for (const end of [read, write]) closeSync(end);
  expect(await child.exited).toBe(7);
}, 30_000);

test("a reader that reads gets all of it, more than any buffer holds", async () => {
  const [read, write] = pipe();
  const child = start(follower(5), write);
  closeSync(write);
  const text = await Bun.file(read).text();
  closeSync(read);
  expect(await child.exited).toBe(7);
  expect(text.length).toBe(readFileSync(log).length);
  expect(text === readFileSync(log, "utf8")).toBe(true);
}, 30_000);

test("a reader that begins when the deploy is over still gets all of it", async () => {
  const [read, write] = pipe();
  writeFileSync(log, "y".repeat(3_000_000));
  const child = start(follower(0), write);
  closeSync(write);
  const text = await Bun.file(read).text();
  closeSync(read);
  expect(await child.exited).toBe(7);
  expect(text.length).toBe(3_000_000);
}, 30_000);

test("what is no pipe gets all of it as well: a file, a socket", async () => {
  const out = Bun.file(join(folder, "out"));
  const script = `${follower(2)}`;
  const child = Bun.spawn([process.execPath, "-e", script], {
    env: plainEnv(),
    stdin: "ignore",
    stdout: out,
    stderr: "inherit",
  });
  expect(await child.exited).toBe(7);
  expect((await out.text()) === readFileSync(log, "utf8")).toBe(true);
  writeFileSync(log, "");
  const other = start(follower(2), "pipe");
  const text = await new Response(other.stdout as ReadableStream).text();
  expect(await other.exited).toBe(7);
  expect(text === readFileSync(log, "utf8")).toBe(true);
}, 30_000);

test("only what comes after the start is printed, as whole lines where they are asked for", async () => {
  writeFileSync(log, "old\n");
  const lines: string[] = [];
  const over = Promise.withResolvers<number>();
  const seen = Promise.withResolvers<void>();
  const following = follow(
    log,
    4,
    over.promise,
    lineSink((line) => (lines.push(line), seen.resolve())),
  );
  appendFileSync(log, "one\ntw");
  await seen.promise;
  appendFileSync(log, "o\nno end");
  over.resolve(3);
  expect(await following).toBe(3);
  expect(lines).toEqual(["one", "two", "no end"]);
});

test("a character on the edge of what is read at once stays whole", async () => {
  const line = `${"x".repeat(64 * 1024 - 1)}ä`;
  writeFileSync(log, `${line}\n`);
  const lines: string[] = [];
  await follow(
    log,
    0,
    Promise.resolve(0),
    lineSink((text) => lines.push(text)),
  );
  expect(lines).toEqual([line]);
});

test("a log that is not there is an error", async () => {
  await expect(follow(join(folder, "missing"), 0, Promise.resolve(0))).rejects.toThrow("ENOENT");
});
