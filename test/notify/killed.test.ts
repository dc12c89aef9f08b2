// SIGKILL at the system calls of one delivery, one after the other: the message is never lost, and doubled at most once.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { plainEnv } from "../../lib/host/run.ts";
import { straceUnavailable } from "../support/strace.ts";
import { BUN, happened, hook, makeQueue, SENDER, type Queue } from "./support/queue.ts";
import { receiver, type Receiver } from "./support/receivers.ts";

const CALLS = ["rename", "unlink", "mkdir", "fsync", "connect", "sendto", "recvfrom"];
const TRACED = resolve(import.meta.dir, "../support/traced.ts");

const unavailable = straceUnavailable();
if (unavailable) console.warn(`kills of the sender are left out: ${unavailable}`);

let to: Receiver;
let queue: Queue;
let folder = "";
beforeAll(() => {
  to = receiver();
  queue = makeQueue({ team: hook(to.url) });
  folder = mkdtempSync(join(tmpdir(), "dp-killed-"));
});
afterAll(() => {
  to.stop();
  queue.remove();
  rmSync(folder, { recursive: true });
});

/** Runs the sender under strace; answers its exit code. */
function straced(...options: string[]): Promise<number> {
  const [bun = "", ...more] = BUN;
  const argv = ["strace", "-D", "-f", "-qq", ...options, bun, "--preload", TRACED, ...more, SENDER, queue.folder];
  return Bun.spawn(argv, { cwd: "/", env: plainEnv(), stdio: ["ignore", "ignore", "ignore"] }).exited;
}

/** How often each thread of an undisturbed sender makes each call, the most of any thread. */
async function callsOfOne(): Promise<[name: string, nth: number][]> {
  queue.post(happened("0-1c2d3e4"), "team");
  const file = join(folder, "calls");
  expect(await straced("-o", file, "-e", `trace=${CALLS.join(",")}`)).toBe(0);
  const calls = readFileSync(file, "utf8")
    .split("\n")
    .map((line) => /^(\d+) +(\w+)\(/.exec(line));
  return CALLS.flatMap((name) => {
    const own = calls.filter((call) => call?.[2] === name).map((call) => call![1]!);
    const most = Math.max(0, ...[...Map.groupBy(own, (task) => task).values()].map((all) => all.length));
    return Array.from({ length: most }, (_, at) => [name, at + 1] as [string, number]);
  });
}

describe.skipIf(unavailable !== null)("the sender", () => {
  test("is killed at each of them, and the next one ends its work", async () => {
    const calls = await callsOfOne();
    for (const name of ["rename", "unlink", "fsync"]) expect(calls.map(([call]) => call)).toContain(name);
    let killed = 0;
    for (const [at, [name, nth]] of calls.entries()) {
      const key = `${at + 1}-1c2d3e4`;
      const before = to.got.length;
      queue.post(happened(key), "team");
      const code = await straced(
        "-o",
        "/dev/null",
        "-e",
        `trace=${name}`,
        "-e",
        `inject=${name}:signal=SIGKILL:when=${nth}`,
      );
      killed += code === 137 ? 1 : 0;
      expect(await queue.send()).toEqual({ code: 0, text: "" });
      const texts = to.got.slice(before).map(({ body }) => body);
      expect(`${name} ${nth}: ${texts.every((text) => text.includes(key))}`).toBe(`${name} ${nth}: true`);
      expect([1, 2]).toContain(texts.length);
      expect(queue.left()).toEqual([]);
    }
    expect(killed).toBeGreaterThan(8);
    console.log(`killed at ${killed} of ${calls.length} system calls, ${to.got.length - calls.length - 1} sent twice`);
  }, 300_000);
});
