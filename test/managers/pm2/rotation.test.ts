// What the workers of a cluster load before the app: the log that they share, put away while all of them write to it.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeIo, silentLog } from "../../../lib/host/io.ts";
import { tailFile } from "../../../lib/host/process/tail.ts";
import { idsOf } from "../../../lib/host/users.ts";
import { render, template } from "../../../lib/host/template.ts";
import { pm2Unavailable } from "../../support/pm2.ts";

const why = pm2Unavailable();
const LIMIT = 64 * 1024;
// Rights do not bind root: then the workers are an account of every Linux.
const user = process.getuid!() === 0 ? "daemon" : undefined;
let folder: string;

// As pm2 does it: a stream for each of the two outputs, and the app once both are open.
const WORKER = `
const fs = require("fs");
const [log, name, count, pause] = process.argv.slice(2);
const streams = [0, 1].map(() => fs.createWriteStream(log, { flags: "a" }));
let opened = 0;
for (const stream of streams) stream.once("open", () => ++opened === 2 && print(1));
function print(at) {
  for (let one = 0; one < 20 && at <= count; one++, at++)
    streams[at % 2].write(name + " " + at + " " + "grüße ".repeat(at % 30) + "end\\n");
  if (at <= count) return setTimeout(print, pause, at);
  console.log("over");
  process.exit(3);
}
`;

// Loaded before dp's own. A file that is put away keeps a second name, so that nothing is gone with the next one.
const KEEP = `
const fs = require("fs");
const { linkSync, renameSync } = fs;
let count = 0;
fs.renameSync = (from, to) => {
  linkSync(from, from + ".kept." + process.pid + "." + count++);
  renameSync(from, to);
};
`;

// The log is gone between the look at it and the write: as when it was put away twice in a moment.
const UNLINK = `
const fs = require("fs");
const { unlinkSync, writeSync } = fs;
let count = 0;
fs.writeSync = (fd, ...more) => {
  if (++count % 10 === 5) unlinkSync(process.argv[2]);
  return writeSync(fd, ...more);
};
`;

describe.skipIf(why !== null)(`the log of a cluster${why === null ? "" : ` (skipped: ${why})`}`, () => {
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "dp-rotation-"));
    chmodSync(folder, 0o755);
    writeFileSync(join(folder, "worker.js"), WORKER);
    writeFileSync(join(folder, "keep.cjs"), KEEP);
    writeFileSync(join(folder, "unlink.cjs"), UNLINK);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** A folder of the workers' user for the log, and what they load. */
  async function place(name: string) {
    const logs = join(folder, name);
    mkdirSync(logs);
    if (user !== undefined) chownSync(logs, ...(await idsOf(user)));
    const log = join(logs, "shop.log");
    const preload = join(folder, `${name}.cjs`);
    const values = { log: JSON.stringify(log), limit: String(LIMIT) };
    writeFileSync(preload, render(await template("pm2.cjs"), values));
    return { logs, log, preload };
  }

  /** Starts a worker that prints so many lines, twenty at a time; answers its last words and how it ended. */
  async function work(log: string, preloads: string[], name: string, count: number, pause = 0): Promise<string> {
    const node = Bun.which("node")!;
    const as = user === undefined ? [] : ["setpriv", `--reuid=${user}`, `--regid=${user}`, "--clear-groups", "--"];
    const requires = preloads.map((path) => `--require=${path}`);
    const argv = [...as, node, ...requires, join(folder, "worker.js"), log, name, String(count), String(pause)];
    const child = Bun.spawn(argv, { stdio: ["ignore", "pipe", "pipe"] });
    const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    return `${out}${err}${await child.exited}`;
  }
  const linesOf = (path: string) => readFileSync(path, "utf8").split("\n").slice(0, -1);

  test("of workers that all print, and of one that seldom does, each line is there once, whole and in order", async () => {
    const { logs, log, preload } = await place("many");
    const keep = join(folder, "keep.cjs");
    const counts = { a: 8_000, b: 8_000, c: 8_000, seldom: 600 };
    const ends = Object.entries(counts).map(([name, count]) =>
      work(log, [keep, preload], name, count, name === "seldom" ? 50 : 0),
    );
    expect(new Set(await Promise.all(ends))).toEqual(new Set(["over\n3"]));
    const kept = readdirSync(logs).filter((name) => name.includes(".kept."));
    expect(kept.length).toBeGreaterThan(20);
    const text = [...kept.map((name) => join(logs, name)), log].map((path) => linesOf(path));
    for (const lines of text) {
      const at = new Map<string, number>();
      for (const line of lines) {
        const [, name, number, words] = /^(\w+) (\d+) (.*)end$/.exec(line) ?? [];
        if (words !== "grüße ".repeat(Number(number) % 30)) throw new Error(`no whole line: ${JSON.stringify(line)}`);
        if ((at.get(name!) ?? 0) >= Number(number)) throw new Error(`out of order: ${JSON.stringify(line)}`);
        at.set(name!, Number(number));
      }
    }
    for (const [name, count] of Object.entries(counts)) {
      const numbers = text.flat().filter((line) => line.startsWith(`${name} `));
      expect([name, numbers.length, new Set(numbers).size]).toEqual([name, count, count]);
    }
  }, 120_000);

  test("who follows it goes on in the new file", async () => {
    const { log, preload } = await place("followed");
    await work(log, [preload], "a", 1);
    const abort = new AbortController();
    const seen = { first: Promise.withResolvers<void>(), last: Promise.withResolvers<void>() };
    const onLine = (line: string) => {
      if (line.startsWith("a 1 ")) seen.first.resolve();
      if (line.startsWith("b 2000 ")) seen.last.resolve();
    };
    const following = tailFile(log, { lines: 10, follow: true, onLine }, makeIo(silentLog, abort.signal));
    await seen.first.promise;
    expect(await work(log, [preload], "b", 2_000)).toBe("over\n3");
    expect(existsSync(`${log}.1`)).toBe(true);
    await seen.last.promise;
    abort.abort();
    await following;
  });

  test("a line that went into a file that is gone is written again", async () => {
    const { log, preload } = await place("gone");
    expect(await work(log, [join(folder, "unlink.cjs"), preload], "a", 20)).toBe("over\n3");
    expect(linesOf(log).map((line) => line.split(" ")[1])).toEqual(["14", "15", "16", "17", "18", "19", "20"]);
  });

  test("a log beside which nothing can be written is emptied at the limit, and the app goes on", async () => {
    const { logs, log, preload } = await place("sealed");
    expect(await work(log, [preload], "a", 1)).toBe("over\n3");
    chmodSync(logs, 0o555);
    expect(await work(log, [preload], "b", 4_000)).toBe("over\n3");
    chmodSync(logs, 0o755);
    expect(readdirSync(logs)).toEqual(["shop.log"]);
    expect(statSync(log).size).toBeLessThan(LIMIT + 1_000);
    expect(linesOf(log).at(-1)).toMatch(/^b 4000 (grüße )*end$/);
  });

  test.each([
    ["that is not to be written", (logs: string) => chmodSync(logs, 0o555)],
    ["that is gone", (logs: string) => rmSync(logs, { recursive: true })],
  ])("a folder %s costs the lines, and not the app", async (what, spoil) => {
    const { logs, log, preload } = await place(what.replaceAll(" ", "-"));
    spoil(logs);
    expect(await work(log, [preload], "a", 100)).toBe("over\n3");
    expect(existsSync(log)).toBe(false);
  });
});
