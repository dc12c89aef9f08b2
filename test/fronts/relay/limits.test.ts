// The limits in time: the relay's parts in this process, with real sockets, and clocks that are put forward.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { makeApp } from "../../../lib/fronts/relay/app.ts";
import type { App } from "../../../lib/fronts/relay/types.ts";
import type { Client } from "../../../lib/fronts/relay/types.ts";
import * as limits from "../../../lib/fronts/relay/limits.ts";
import { listen, unlisten } from "../../../lib/fronts/relay/listening.ts";
import { clock } from "../../../lib/fronts/relay/clock.ts";
import { startSweep } from "../../../lib/fronts/relay/sweep.ts";
import { type Scripted, freePort, scripted } from "./support/apps.ts";
import { type RawClient, rawClient, until } from "./support/relay.ts";

const apps = new Map<string, App>();
let endSweep: () => void;
let script: Scripted;
let app: App;
let port: number;
beforeAll(async () => {
  script = scripted(() => undefined);
  port = await freePort();
  const target = { id: "1-aaaaaaa", port: script.port };
  app = makeApp({ app: "web", listen: { host: "127.0.0.1", port }, protocol: "http", target, trustedProxies: [] });
  apps.set("web", app);
  listen(app);
  endSweep = startSweep(() => apps.values());
});
afterAll(() => {
  endSweep();
  unlisten(app, false);
  script?.stop();
});

/** A client, its state in the relay, and the app's end of it as soon as there is one. */
async function connected(
  bytes: string | Buffer,
): Promise<{ client: RawClient; state: Client; visit: () => Scripted["visits"][number] }> {
  const [before, visits] = [new Set(app.clients), script.visits.length];
  const client = await rawClient(port);
  const found = () => [...app.clients].find((other) => !before.has(other));
  await until("the connection", () => found() !== undefined);
  const state = found()!;
  client.write(bytes);
  return { client, state, visit: () => script.visits[visits]! };
}

const HEAD = "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 10\r\n\r\n";
const GET = "GET / HTTP/1.1\r\nHost: web\r\n\r\n";

test("a head that does not end is 408, however many bytes still come", async () => {
  const { client, state } = await connected("GET / HTTP/1.1\r\n");
  await until("the bytes", () => state.pending !== null);
  state.since -= limits.HEAD_TIME - 5_000;
  client.write("A: b\r\n");
  await until("more bytes", () => state.pending!.includes("A: b"));
  expect(client.text()).toBe("");
  state.since -= 6_000;
  expect((await client.until(() => false)).text).toStartWith("HTTP/1.1 408 ");
  client.close();
});

test("a connection without a request is closed, cleanly", async () => {
  const { client, state } = await connected("");
  state.since -= limits.IDLE_TIME + 1;
  expect(await client.until(() => false)).toEqual({ text: "", ending: "eof" });
  client.close();
});

test("a body of which nothing comes is 408, and the app's connection is reset", async () => {
  const { client, state, visit } = await connected(`${HEAD}half`);
  await until("the half", () => visit()?.got.endsWith("half"));
  state.cameAt -= limits.STALL_TIME + 1;
  expect((await client.until(() => false)).text).toStartWith("HTTP/1.1 408 ");
  await until("the app's end", () => visit().state === "reset");
  client.close();
});

test("a body that comes too slowly is 408, however often a byte of it comes", async () => {
  const { client, state, visit } = await connected(`${HEAD}a`);
  await until("the byte", () => visit()?.got.endsWith("a"));
  state.bodySince -= limits.BODY_TIME + 1;
  expect((await client.until(() => false)).text).toStartWith("HTTP/1.1 408 ");
  await until("the app's end", () => visit().state === "reset");
  client.close();
});

test("a body may take its time as long as enough of it comes", async () => {
  const size = 3 * limits.BODY_BYTES;
  const { client, state, visit } = await connected(`POST / HTTP/1.1\r\nHost: web\r\nContent-Length: ${size}\r\n\r\n`);
  for (let part = 1; part <= 2; part++) {
    client.write(Buffer.alloc(limits.BODY_BYTES, "a"));
    await until("the part", () => state.bodyCame === limits.BODY_BYTES);
    state.bodySince -= limits.BODY_TIME + 1;
    await until("another count", () => state.bodyCame === 0);
  }
  expect([client.text(), visit().state]).toEqual(["", "open"]);
  client.reset();
});

test.each(["the client waits for 100", "the app does not take it", "the answer has begun"])(
  "nothing is asked of a body while %s",
  async (why) => {
    const waits = why === "the client waits for 100";
    const size = why === "the app does not take it" ? 64 << 20 : 10;
    const { client, state, visit } = await connected(
      `POST / HTTP/1.1\r\nHost: web\r\n${waits ? "Expect: 100-continue\r\n" : ""}Content-Length: ${size}\r\n\r\n`,
    );
    await until("the head", () => visit()?.got.endsWith("\r\n\r\n"));
    if (size > 10) {
      visit().pause();
      client.write(Buffer.alloc(size - 1));
      await until("the client is stopped", () => state.isPaused);
    } else if (!waits) {
      visit().write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      await client.until("\r\n\r\n");
    }
    const since = (state.bodySince -= limits.BODY_TIME + 1);
    await until("a few looks at it", () => state.bodySince > since);
    expect(visit().state).toBe("open");
    expect(client.text()).not.toContain("408");
    client.reset();
  },
);

test("no answer within five minutes is 504, and counts as failed", async () => {
  const { client, state, visit } = await connected(GET);
  await until("the request", () => visit()?.got.endsWith("\r\n\r\n"));
  const { failed } = app;
  state.since -= limits.ANSWER_TIME + 1;
  expect((await client.until(() => false)).text).toMatch(/^HTTP\/1.1 504 [^]*web: it did not answer in time/);
  expect(app.failed).toBe(failed + 1);
  client.close();
});

test("an answer that has begun may take as long as it likes", async () => {
  const { client, state, visit } = await connected(GET);
  await until("the request", () => visit()?.got.endsWith("\r\n\r\n"));
  visit().write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  await client.until("\r\n\r\n");
  for (const name of ["since", "cameAt", "tookAt"] as const) state[name] -= 10 * limits.ANSWER_TIME;
  await until("a few looks at it", () => state.isProbed);
  visit().write("2\r\nok\r\n0\r\n\r\n");
  expect((await client.until("0\r\n\r\n")).ending).toBe("open");
  client.close();
});

test("a client that does not take its answer is reset", async () => {
  const visits = script.visits.length;
  const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data: (self) => self.pause() } });
  socket.write(GET);
  await until("the request", () => script.visits.length > visits && script.visits[visits]!.got.endsWith("\r\n\r\n"));
  script.visits[visits]!.write(`HTTP/1.1 200 OK\r\nContent-Length: ${32 << 20}\r\n\r\n`);
  script.visits[visits]!.write(Buffer.alloc(32 << 20));
  const stuck = () => [...app.clients].find((other) => other.queue.length > 0);
  await until("bytes that wait", () => stuck() !== undefined);
  stuck()!.tookAt -= limits.STALL_TIME + 1;
  await until("the app's end", () => script.visits[visits]!.state !== "open");
  socket.terminate();
});

test("a client that does not answer our FIN is closed after a while", async () => {
  const { client, state } = await connected("nonsense\r\n\r\n");
  await client.until("\r\n\r\n400");
  await until("our FIN", () => client.ending() === "eof");
  expect(app.clients.has(state)).toBe(true);
  state.since -= limits.LINGER_TIME + 1;
  state.tookAt -= limits.LINGER_TIME + 1;
  await until("it is gone", () => !app.clients.has(state));
  client.close();
});

test("at rest the relay's clock is read seldom, and the first connection finds it on time", async () => {
  await until("all are gone, pooled connections too", () => clock.wake !== null);
  const { now } = clock;
  const since = performance.now();
  await until("the next look", () => clock.now !== now);
  expect(clock.wake).not.toBeNull();
  expect(clock.now).toBeGreaterThan(since);
  const { client, state } = await connected("GET / HTTP/1.1\r\nHost: web\r\n");
  expect(clock.wake).toBeNull();
  expect(performance.now() - state.since).toBeLessThan(900);
  await client.close();
});
