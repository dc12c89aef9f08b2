// Bodies of any size in little memory, in both directions, and clients that take more than their share.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { roomIn, shareIn } from "../../../lib/fronts/relay/capacity.ts";
import { type Scripted, type TestApp, scripted, startApp } from "./support/apps.ts";
import { type RawClient, type TestRelay, raw, rawClient, startRelay, until } from "./support/relay.ts";

const MB = 1 << 20;
const FILES = 2500;

let relay: TestRelay;
let app: TestApp;
let web: number;
const scripts: Scripted[] = [];
beforeAll(async () => {
  [relay, app] = await Promise.all([startRelay({}, FILES), startApp("bun", "app")]);
  web = await relay.add("web", app.port);
});
afterAll(async () => {
  for (const script of scripts) script.stop();
  await Promise.all([relay?.stop(), app?.stop()]);
});

const statusOf = async (name: string) => (await relay.front.status()).routes.find((route) => route.app === name)!;

/** A client that asks for an answer and then does not read. */
async function stuck(port: number, path: string): Promise<{ close(): void }> {
  const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data: (self) => self.pause() } });
  socket.write(`GET ${path} HTTP/1.1\r\nHost: web\r\n\r\n`);
  return { close: () => socket.terminate() };
}

test("twenty clients that stop reading 500 MB cost little memory, and the app learns when they go", async () => {
  const before = relay.rss();
  const clients = await Promise.all(Array.from({ length: 20 }, () => stuck(web, "/big?mb=500")));
  await until("twenty are under way", async () => (await statusOf("web")).inFlight["1-aaaaaaa"]?.requests === 20);
  // Others are served meanwhile, and long enough for all that would come to have come.
  for (let i = 0; i < 50; i++) {
    const client = await rawClient(web);
    client.write("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
    await client.until(/app$/);
    client.close();
  }
  expect(relay.rss() - before).toBeLessThan(40 * MB);
  for (const client of clients) client.close();
  await until("nothing is under way", async () => (await statusOf("web")).inFlight["1-aaaaaaa"] === undefined);
});

test("64 MB come down whole", async () => {
  const client = Bun.fetch(`http://127.0.0.1:${web}/big?mb=64`);
  const hash = new Bun.CryptoHasher("sha256");
  let size = 0;
  for await (const chunk of (await client).body!) {
    hash.update(chunk);
    size += chunk.length;
  }
  const expected = new Bun.CryptoHasher("sha256");
  for (let i = 0; i < 64; i++) expected.update(Buffer.alloc(MB, "0123456789abcdef"));
  expect([size, hash.digest("hex")]).toEqual([64 * MB, expected.digest("hex")]);
});

/** Bytes that occur in no other place: a number from each of which on a client's own ones follow. */
function ownBytes(who: number, size: number): Buffer {
  const words = Uint32Array.from({ length: size / 4 }, (_, at) => (who << 26) + at);
  return Buffer.from(words.buffer);
}

test("four clients that send 4 MB each, and read slowly what comes back, get their own, in order", async () => {
  const clients = Array.from({ length: 4 }, async (_, who) => {
    const sent = ownBytes(who, 4 * MB);
    const answer = await Bun.fetch(`http://127.0.0.1:${web}/echo`, { method: "POST", body: sent });
    const parts: Uint8Array[] = [];
    for await (const part of answer.body!) {
      parts.push(part);
      // Meanwhile what the relay has for this client stays there.
      if (parts.length % 4 === 0) await statusOf("web");
    }
    return Buffer.concat(parts).equals(sent);
  });
  expect(await Promise.all(clients)).toEqual(clients.map(() => true));
});

test("an app that stops reading now and then gets a large body whole", async () => {
  const sent = ownBytes(9, 16 * MB);
  const hash = new Bun.CryptoHasher("sha256");
  let size = 0;
  let hasHead = false;
  const picky = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      async data(socket, chunk) {
        // The head may come alone.
        const body = hasHead ? chunk : chunk.subarray(chunk.indexOf("\r\n\r\n") + 4);
        hasHead = true;
        hash.update(body);
        size += body.length;
        if (size === sent.length) return void socket.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole");
        socket.pause();
        await statusOf("picky");
        socket.resume();
      },
    },
  });
  const client = await rawClient(await relay.add("picky", picky.port));
  client.write(`POST / HTTP/1.1\r\nHost: web\r\nContent-Length: ${sent.length}\r\n\r\n`);
  client.write(sent);
  await client.until(/whole$/);
  expect(hash.digest("hex")).toBe(new Bun.CryptoHasher("sha256").update(sent).digest("hex"));
  client.close();
  picky.stop(true);
});

test.each([
  ["with a length", `Content-Length: ${64 * MB}`, (part: Buffer) => part, ""],
  [
    "in chunks",
    "Transfer-Encoding: chunked",
    (part: Buffer) => Buffer.concat([Buffer.from("100000\r\n"), part, Buffer.from("\r\n")]),
    "0\r\n\r\n",
  ],
] as const)("64 MB go up whole %s, in little memory", async (_name, field, wrap, last) => {
  const before = relay.rss();
  const client = await rawClient(web);
  client.write(`POST /count HTTP/1.1\r\nHost: web\r\n${field}\r\n\r\n`);
  const part = wrap(Buffer.alloc(MB, "x"));
  for (let i = 0; i < 64; i++) client.write(part);
  client.write(last);
  await client.until(new RegExp(`\r\n\r\n${64 * MB}$`), 30_000);
  expect(relay.rss() - before).toBeLessThan(40 * MB);
  client.close();
});

test("an app that does not read stops the client, not the relay", async () => {
  const before = relay.rss();
  const slow = scripted((visit) => visit.pause());
  scripts.push(slow);
  const port = await relay.add("slow", slow.port);
  let sent = 0;
  const part = Buffer.alloc(MB, "x");
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: { data() {}, drain: (self) => void (sent += Math.max(0, self.write(part))) },
  });
  socket.write(`POST / HTTP/1.1\r\nHost: web\r\nContent-Length: ${1024 * MB}\r\n\r\n`);
  while (true) {
    const taken = socket.write(part);
    if (taken <= 0) break;
    sent += taken;
  }
  // It is stopped when, between two looks at everybody else's requests, nothing more was taken.
  let last = -1;
  await until("the client is stopped", async () => {
    for (let i = 0; i < 10; i++) await statusOf("slow");
    const isSame = last === sent;
    last = sent;
    return isSame;
  });
  expect(sent).toBeLessThan(64 * MB);
  expect(relay.rss() - before).toBeLessThan(40 * MB);
  socket.terminate();
});

test("pipelined requests for large answers wait for the client to read", async () => {
  const before = relay.rss();
  const socket = await Bun.connect({ hostname: "127.0.0.1", port: web, socket: { data: (self) => self.pause() } });
  socket.write("GET /big?mb=8 HTTP/1.1\r\nHost: web\r\n\r\n".repeat(500));
  await until("the first is under way", async () => (await statusOf("web")).inFlight["1-aaaaaaa"]?.requests === 1);
  expect(relay.rss() - before).toBeLessThan(40 * MB);
  socket.terminate();
  await until("nothing is under way", async () => (await statusOf("web")).inFlight["1-aaaaaaa"] === undefined);
});

test("an app has its share of connections; those beyond are told, and leaving ones make room", async () => {
  const port = await relay.add("cap", app.port);
  const apps = (await relay.front.status()).routes.length;
  const share = shareIn(roomIn(FILES, apps), apps);
  const clients: RawClient[] = [];
  while (clients.length < share) clients.push(await rawClient(port));
  // Those that carry a request: others would make room.
  for (const client of clients) client.write("POST /echo HTTP/1.1\r\nHost: web\r\nContent-Length: 10\r\n\r\n1");
  const underWay = async () => (await statusOf("cap")).inFlight["1-aaaaaaa"]?.requests ?? 0;
  await until("all are under way", async () => (await underWay()) === share);
  const { text } = await raw(port, "");
  expect(text).toMatch(/^HTTP\/1.1 503 [^]*cap: it has too many connections/);
  // Another app is served all the same.
  const other = await rawClient(web);
  other.write("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
  await other.until(/app$/);
  other.close();
  for (const client of clients.splice(0, 128)) client.reset();
  await until("there is room", async () => (await statusOf("cap")).connections < share - 64);
  const next = await rawClient(port);
  next.write("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
  await next.until(/app$/);
  for (const client of [...clients, next]) client.reset();
});
