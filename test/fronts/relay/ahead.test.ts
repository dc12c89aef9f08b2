// How far an app may send ahead of clients that have stopped: far on a few connections, little on all others.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { AHEAD, AHEAD_CONNECTIONS, UNREAD } from "../../../lib/fronts/relay/limits.ts";
import { type TestApp, startApp } from "./support/apps.ts";
import { type Crowd, startCrowd } from "./support/crowd.ts";
import { type TestRelay, startRelay, until } from "./support/relay.ts";

/** The kernel keeps twice as much room as it was asked for. */
const [SMALL, LARGE] = [2 * UNREAD, 2 * AHEAD];

let relay: TestRelay;
let app: TestApp;
let port: number;
beforeAll(async () => {
  [relay, app] = await Promise.all([startRelay(), startApp("bun", "app")]);
  port = await relay.add("web", app.port);
});
afterAll(() => Promise.all([relay?.stop(), app?.stop()]));

/** What the relay has not read on each of its connections to the app. */
function unread(): number[] {
  const remote = `:${app.port.toString(16).toUpperCase().padStart(4, "0")}`;
  const lines = readFileSync("/proc/net/tcp", "utf8").trimEnd().split("\n").slice(1);
  const fields = lines.map((line) => line.trim().split(/\s+/)).filter(([, , address]) => address!.endsWith(remote));
  return fields.map(([, , , , queues]) => Number.parseInt(queues!.split(":")[1]!, 16));
}

const large = () => unread().filter((bytes) => bytes > SMALL);

/** Clients that ask for 64 MB and do not read them. */
const startDeaf = (count: number): Promise<Crowd> =>
  startCrowd(port, count, "GET /big?mb=64 HTTP/1.1\r\nHost: web\r\n\r\n", undefined, { isDeaf: true });

const untilClosed = () => until("the app's connections are closed", () => unread().every((bytes) => bytes === 0));

test("of 200 stopped clients few have much ahead, and when they are gone others may", async () => {
  const many = await startDeaf(200);
  await until("all have something ahead", () => unread().filter((bytes) => bytes > 0).length >= 200);
  expect(large().length).toBeLessThanOrEqual(AHEAD_CONNECTIONS);
  expect(Math.max(...unread())).toBeLessThanOrEqual(LARGE);
  await many.stop();
  await untilClosed();
  const others: Crowd[] = [];
  await until("one of the others has much ahead", async () => {
    others.push(await startDeaf(1));
    return large().length > 0;
  });
  for (const other of others) await other.stop();
  await untilClosed();
}, 60_000);

test("a client that stops for a while gets all of an answer that was sent far ahead", async () => {
  let size = 0;
  const ended = Promise.withResolvers<void>();
  const data = (self: Bun.Socket, chunk: Buffer) => {
    if (size === 0) self.pause();
    size += chunk.length;
  };
  const handlers = { data, close: () => ended.resolve(), error: (_: Bun.Socket, error: Error) => ended.reject(error) };
  const client = await Bun.connect({ hostname: "127.0.0.1", port, socket: handlers });
  client.write("GET /sized?bytes=16000000 HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n");
  await until("much is ahead", () => size > 0 && large().length === 1);
  client.resume();
  await ended.promise;
  expect(size).toBeGreaterThan(16_000_000);
});
