// The sender against receivers of all kinds, by a fast clock: what arrives, what is tried again, what is
// given up, and that nobody waits for anybody else.
import { afterEach, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { retryAfter } from "../../lib/notify/http.ts";
import { dripping, hanging, receiver, refusing } from "./support/receivers.ts";
import { happened, hook, makeQueue, type Queue } from "./support/queue.ts";

const LIMIT = 60_000;
const SECRET = "hunter2hunter2";

const open: { stop(): void }[] = [];
const keep = <T extends { stop(): void }>(each: T): T => {
  open.push(each);
  return each;
};
const queueOf = (...args: Parameters<typeof makeQueue>): Queue => {
  const queue = makeQueue(...args);
  open.push({ stop: queue.remove });
  return queue;
};
afterEach(() => {
  for (const each of open.splice(0)) each.stop();
});

const busy = (status: number, times: number, headers: Record<string, string> = {}) =>
  keep(receiver((count) => (count < times ? new Response("later", { status, headers }) : new Response("ok"))));

test(
  "nine receivers: each in its own way, and none waits for another",
  async () => {
    const good = keep(receiver());
    const slow = keep(dripping());
    const twice = busy(503, 2);
    const limited = busy(429, 1, { "Retry-After": "2" });
    const moved = keep(receiver(() => Response.redirect(good.url, 302)));
    const gone = keep(receiver(() => new Response("x".repeat(100_000), { status: 404 })));
    const hangs = keep(hanging());
    const refused = await refusing();
    const queue = queueOf({
      ...{ good: hook(good.url), slow: hook(slow.url), twice: hook(twice.url), limited: hook(limited.url) },
      ...{ moved: hook(moved.url), gone: hook(gone.url), hangs: hook(hangs.url), refused: hook(refused) },
      nowhere: hook(`https://nobody.invalid/${SECRET}`),
    });
    const names = ["good", "slow", "twice", "limited", "moved", "gone", "hangs", "refused", "nowhere"];
    queue.post(happened("43-1c2d3e4"), ...names);
    const { code, text } = await queue.send();
    expect([code, text]).toEqual([0, ""]);
    const ends = Object.fromEntries(names.map((name) => [name, queue.ends(name)]));
    expect(ends).toEqual({
      ...{ good: ["sent"], slow: ["sent"], twice: ["sent"], limited: ["sent"], moved: ["given up"] },
      ...{ gone: ["given up"], hangs: ["given up"], refused: ["given up"], nowhere: ["given up"] },
    });
    expect([good, slow, twice, limited, moved, gone].map(({ got }) => got.length)).toEqual([1, 1, 3, 2, 1, 1]);
    const lines = queue.log();
    const saidOf = (name: string) => [
      ...new Set(lines.filter(({ target }) => target === name).map(({ said }) => said)),
    ];
    expect(saidOf("twice")).toEqual(["503", "200"]);
    expect(saidOf("moved")).toEqual(["302"]);
    expect(saidOf("gone")).toEqual(["404"]);
    expect(saidOf("hangs")).toEqual(["timeout"]);
    expect(saidOf("refused")).toEqual(["ECONNREFUSED"]);
    // Those that answer are done before the hanging one has been tried twice.
    const order = lines.map(({ target, end }) => `${target} ${end}`);
    for (const name of ["good", "slow", "twice", "limited", "moved", "gone"]) {
      const end = order.findIndex((line) => line.startsWith(name) && !line.endsWith("tried"));
      const second = order.findIndex((line, at) => line === "hangs tried" && order.indexOf(line) < at);
      expect(`${name} ${end < second}`).toBe(`${name} true`);
    }
    expect(queue.left()).toEqual([]);
    // No part of an address is in the log.
    const log = readFileSync(join(queue.folder, "own/log"), "utf8");
    expect(log).not.toContain(SECRET);
    expect(log).not.toMatch(/https?:|127\.0\.0\.1|nobody\.invalid/);
  },
  LIMIT,
);

test(
  "posted twice is delivered once, and so is what was posted again after it was sent or given up",
  async () => {
    const good = keep(receiver());
    const gone = keep(receiver(() => new Response("", { status: 410 })));
    const queue = queueOf({ good: hook(good.url), gone: hook(gone.url) });
    const what = happened("43-1c2d3e4");
    queue.post(what, "good", "gone");
    queue.post({ ...what, time: new Date(0).toISOString() }, "good", "gone");
    await queue.send();
    queue.post(what, "good", "gone");
    await queue.send();
    expect([good.got.length, gone.got.length]).toEqual([1, 1]);
    expect([queue.ends("good"), queue.ends("gone")]).toEqual([["sent"], ["given up"]]);
    expect(queue.left()).toEqual([]);
  },
  LIMIT,
);

test(
  "twenty in an hour, and what is more becomes one message",
  async () => {
    const good = keep(receiver());
    const queue = queueOf({ good: hook(good.url) });
    for (let at = 0; at < 33; at++) {
      const time = new Date(Date.now() + at).toISOString();
      queue.post(happened(`${at + 1}-1c2d3e4`, { time }), "good");
    }
    await queue.send();
    const heads = good.got.map(({ body }) => (JSON.parse(body) as { text: string }).text.split("\n")[0]);
    expect(heads.length).toBe(20);
    expect(heads[0]).toContain("deploy 1-1c2d3e4");
    expect(heads.at(-1)).toBe("and 14 more: dp notify log");
    expect(queue.ends("good").filter((end) => end === "told as one").length).toBe(13);
    expect(queue.left()).toEqual([]);
  },
  LIMIT,
);

test(
  "a target that was removed gets nothing, and its row is dropped",
  async () => {
    const [good, other] = [keep(receiver()), busy(503, 1_000)];
    const queue = queueOf({ good: hook(good.url), other: hook(other.url) });
    queue.post(happened("43-1c2d3e4"), "good", "other", "unknown");
    const done = queue.send();
    while (other.got.length === 0) await Bun.sleep(5);
    queue.target({ good: hook(good.url) });
    expect((await done).code).toBe(0);
    expect(queue.ends("good")).toEqual(["sent"]);
    expect(queue.log()).toContainEqual(expect.objectContaining({ target: "other", end: "dropped" }));
    expect(queue.left()).toEqual([]);
  },
  LIMIT,
);

test(
  "what has waited for long says when it was, and a second sender leaves at once",
  async () => {
    const good = keep(receiver());
    const queue = queueOf({ good: hook(good.url) });
    queue.post(happened("43-1c2d3e4", { time: "2026-01-02T12:04:00Z" }), "good");
    await Promise.all([queue.send(), queue.send()]);
    expect(good.got.length).toBe(1);
    expect((JSON.parse(good.got[0]!.body) as { text: string }).text).toMatch(/\n\(this was at \d\d-\d\d \d\d:\d\d\)$/);
  },
  LIMIT,
);

test(
  "damaged files in the queue stop nothing",
  async () => {
    const good = keep(receiver());
    const queue = queueOf({ good: hook(good.url) });
    writeFileSync(join(queue.folder, "new/0.json"), "{");
    queue.post(happened("43-1c2d3e4"), "good");
    expect((await queue.send()).code).toBe(0);
    expect(queue.ends("good")).toEqual(["sent"]);
    expect(queue.left()).toEqual([]);
  },
  LIMIT,
);

describe("Retry-After", () => {
  const now = Date.UTC(2026, 2, 1, 12);
  test.each([
    ["2", 2_000],
    ["0", 0],
    ["999999", 3_600_000],
    ["Sun, 01 Mar 2026 12:00:30 GMT", 30_000],
    ["Sun, 01 Mar 2026 11:00:00 GMT", 0],
    ["soon", null],
    ["", null],
  ])("%j", (header, ms) => {
    expect(retryAfter(header, now)).toBe(ms);
  });
});
