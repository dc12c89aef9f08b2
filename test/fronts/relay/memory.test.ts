// Clients that make the relay keep bytes for them, by the hundred: its memory has a bound, and others are served.
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { KERNEL_MEMORY } from "../../../lib/fronts/relay/limits.ts";
import { type Scripted, type TestApp, scripted, startApp } from "./support/apps.ts";
import { startCrowd } from "./support/crowd.ts";
import { type TestRelay, raw, startRelay, until } from "./support/relay.ts";

const MB = 1 << 20;
const GET = "GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n";
/** What the documents promise. */
const ALLOWED = 512 * MB;

let relay: TestRelay;
let app: TestApp;
let silent: Scripted;
beforeAll(async () => {
  app = await startApp("bun", "app");
  silent = scripted((visit) => {
    if (!visit.got.startsWith("GET /hang")) visit.pause();
  });
});
beforeEach(async () => {
  await relay?.stop();
  relay = await startRelay();
});
afterAll(async () => {
  silent?.stop();
  await Promise.all([relay?.stop(), app?.stop()]);
});

/** What the kernel has to send on connections to a port, also on those that no process has any more. */
function unsentBy(port: number): number {
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const lines = readFileSync("/proc/net/tcp", "utf8").trimEnd().split("\n").slice(1);
  const fields = lines.map((line) => line.trim().split(/\s+/)).filter(([, address]) => address!.endsWith(local));
  return fields.reduce((sum, [, , , , queues]) => sum + Number.parseInt(queues!, 16), 0);
}

/** Others are served while a crowd does its worst; answers how many of it are left then. `check` is called before it goes. */
async function endure(
  port: number,
  size: number,
  head: string,
  manner: Parameters<typeof startCrowd>[4],
  check = async () => {},
) {
  const web = await relay.add("web", app.port);
  const crowd = await startCrowd(port, size, head, undefined, manner);
  try {
    for (let i = 0; i < 50; i++) expect((await raw(web, GET)).text).toEndWith("app");
    const { open } = await crowd.look();
    console.log(`${open} of ${size} are left, and the relay had ${Math.round(relay.peak() / MB)} MB at most`);
    expect(relay.peak()).toBeLessThan(ALLOWED);
    await check();
    return open;
  } finally {
    await crowd.stop();
    for (const visit of silent.visits.splice(0)) visit.reset();
  }
}

const untilCut = () =>
  until("the log", () => /attacked: cut off a connection of uid \d+, which held \d+ KiB/.test(relay.log()));

test("2,500 heads of 30 kB that do not end are kept", async () => {
  const port = await relay.add("attacked", silent.port);
  expect(await endure(port, 2500, "GET / HTTP/1.1\r\nHost: h\r\nX: ", { more: 30_000 })).toBe(2500);
}, 60_000);

test("of 2,500 clients with a megabyte behind a request that has no answer yet, some are cut off", async () => {
  const port = await relay.add("attacked", silent.port);
  expect(await endure(port, 2500, "GET /hang HTTP/1.1\r\nHost: web\r\n\r\n", { more: MB })).toBeLessThan(2500);
  await untilCut();
}, 60_000);

test("of 1,000 clients that do not read large answers, some are cut off", async () => {
  const port = await relay.add("attacked", app.port);
  expect(await endure(port, 1000, "GET /big?mb=64 HTTP/1.1\r\nHost: web\r\n\r\n", { isDeaf: true })).toBeLessThan(1000);
  await untilCut();
}, 60_000);

test("of 1,500 bodies that the app does not take, some are cut off", async () => {
  const port = await relay.add("attacked", silent.port);
  const head = `POST / HTTP/1.1\r\nHost: web\r\nContent-Length: ${64 * MB}\r\n\r\n`;
  expect(await endure(port, 1500, head, { more: 8 * MB })).toBeLessThan(1500);
  await untilCut();
}, 60_000);

test("400 clients may stop in the middle of a large answer, and none is cut off", async () => {
  const port = await relay.add("attacked", app.port);
  expect(await endure(port, 400, "GET /big?mb=64 HTTP/1.1\r\nHost: web\r\n\r\n", { isDeaf: true })).toBe(400);
}, 60_000);

test.each([
  ["", false],
  [", and have ended their own side", true],
])(
  "of 1,800 clients that do not read an answer of a megabyte%s, some are cut off",
  async (_name, isHalf) => {
    const port = await relay.add("attacked", app.port);
    const head = "GET /sized?bytes=1000000 HTTP/1.1\r\nHost: web\r\n\r\n";
    await endure(port, 1800, head, { isDeaf: true, isHalf }, async () => {
      await untilCut();
      await until("the kernel keeps no more than it may", () => unsentBy(port) <= KERNEL_MEMORY);
      console.log(`the kernel keeps ${Math.round(unsentBy(port) / MB)} MB`);
    });
  },
  60_000,
);
