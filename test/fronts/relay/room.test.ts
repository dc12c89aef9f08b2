// A client that opens all the connections it can takes nobody else's room: attacks, and somebody who is served all the while.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { roomIn, shareIn } from "../../../lib/fronts/relay/capacity.ts";
import { CONNECTIONS_PER_CLIENT, CONNECTIONS_REFUSED } from "../../../lib/fronts/relay/limits.ts";
import { type Crowd, startCrowd } from "./support/crowd.ts";
import { type Scripted, scripted } from "./support/apps.ts";
import { type RawClient, type TestRelay, raw, rawClient, startRelay, until } from "./support/relay.ts";

/** So that there is room for a thousand connections. */
const FILES = 2500;
const isRoot = process.getuid?.() === 0;
const [APP, STRANGER] = [64_101, 64_102];
const HALF = "GET / HTTP/1.1\r\nHost: h\r\nX";
const GET = "GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n";

let relay: TestRelay;
let app: Scripted;
const crowds: Crowd[] = [];
const clients: RawClient[] = [];
beforeAll(async () => {
  relay = await startRelay({}, FILES);
  // It says what it got, and never answers /hang.
  app = scripted((visit) => {
    if (!visit.got.endsWith("\r\n\r\n") || visit.got.includes("/hang")) return;
    visit.write(`HTTP/1.1 200 OK\r\nContent-Length: ${visit.got.length}\r\n\r\n${visit.got}`);
    visit.got = "";
  });
});
afterEach(async () => {
  for (const crowd of crowds.splice(0)) await crowd.stop();
  for (const client of clients.splice(0)) client.reset();
  await until("all are gone", async () => {
    // A client that has sent its FIN may still want its answer, and the app may only now hear of its request.
    for (const visit of app.visits.splice(0)) visit.reset();
    return (await relay.front.status()).routes.every((each) => each.connections === 0);
  });
});
afterAll(async () => {
  app?.stop();
  await relay?.stop();
});

let count = 0;
const route = (more = {}) => relay.add(`app${++count}`, app.port, more);
const connections = async () =>
  (await relay.front.status()).routes.reduce((sum, { connections: each }) => sum + each, 0);

/** How many connections an app may have, beside those that were added so far. */
const share = () => shareIn(roomIn(FILES, count), count);

const underWay = async (name: string) =>
  (await relay.front.status(name)).routes[0]!.inFlight["1-aaaaaaa"]?.requests ?? 0;

async function crowd(port: number, size: number, bytes = HALF, uid?: number): Promise<Crowd> {
  const started = await startCrowd(port, size, bytes, uid);
  crowds.push(started);
  return started;
}

/** How long requests on fresh connections take, in ms, the median of many; throws when one is not answered 200. */
async function usual(port: number): Promise<number> {
  const times: number[] = [];
  while (times.length < 200) {
    const begun = performance.now();
    const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { Connection: "close" } });
    await answer.text();
    times.push(performance.now() - begun);
    if (answer.status !== 200) throw new Error(`answered ${answer.status}`);
  }
  return times.toSorted((a, b) => a - b)[100]!;
}

async function untilAnswered(port: number, times: number): Promise<void> {
  for (let i = 0; i < times; i++) expect((await raw(port, GET)).text).toStartWith("HTTP/1.1 200 ");
}

test("half-open requests to the app's last connection make room for everybody who comes", async () => {
  const [port, other] = [await route(), await route()];
  const before = await usual(port);
  const attack = await crowd(port, share());
  // What these have sent is read before more come: a connection that has said nothing is closed without an answer.
  await until("all have room", async () => (await connections()) === share());
  await crowd(port, 100);
  expect(await connections()).toBeLessThanOrEqual(share());
  expect(await connections()).toBeGreaterThan(share() - 100);
  const during = await usual(port);
  await untilAnswered(other, 10);
  console.log(
    `the median of 200 requests: ${before.toFixed(2)} ms before, ${during.toFixed(2)} ms while the attack holds`,
  );
  expect(during).toBeLessThan(before * 5 + 5);
  const { open, answers } = await attack.look();
  expect(open).toBeLessThan(share());
  expect(answers.length).toBeGreaterThan(0);
  expect(answers.every((answer) => answer.startsWith("HTTP/1.1 503 "))).toBe(true);
});

test("the whole relay's room is made of those connections as well", async () => {
  const ports = [await route(), await route(), await route()] as const;
  for (const port of ports.slice(0, 2)) await crowd(port, share());
  await untilAnswered(ports[0], 20);
  await untilAnswered(ports[2], 50);
});

test("idle connections go after unfinished heads", async () => {
  const [port, other] = [await route(), await route()];
  const idle: RawClient[] = [];
  for (let i = 0; i < 3; i++) {
    const client = await rawClient(port);
    client.write("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
    await client.until("200 OK");
    idle.push(client);
  }
  clients.push(...idle);
  await crowd(port, share() - 3);
  // By then all of those heads have been read.
  await untilAnswered(other, 1);
  await untilAnswered(port, 5);
  expect(idle.map((client) => client.ending())).toEqual(["open", "open", "open"]);
  for (const client of idle) {
    client.write("GET /again HTTP/1.1\r\nHost: web\r\n\r\n");
    await client.until("/again");
  }
});

test("requests under way are never ended for others: then the newcomer is told", async () => {
  const port = await route();
  const name = `app${count}`;
  const attack = await crowd(port, share(), "GET /hang HTTP/1.1\r\nHost: web\r\n\r\n");
  await until("all are under way", async () => (await underWay(name)) === share());
  expect((await raw(port, GET)).text).toMatch(/^HTTP\/1.1 503 [^]*it has too many connections/);
  expect((await attack.look()).open).toBe(share());
});

describe.skipIf(!isRoot)("a user of this machine", () => {
  test("has the share of one client, on all ports, by whatever address", async () => {
    const [one, two] = [await route(), await route()];
    const before = await usual(two);
    const attacks = [await crowd(one, 2_100, HALF, STRANGER), await crowd(two, 2_100, HALF, STRANGER)];
    expect(await connections()).toBeLessThanOrEqual(CONNECTIONS_PER_CLIENT + CONNECTIONS_REFUSED);
    const during = await usual(two);
    console.log(
      `the median of 200 requests: ${before.toFixed(2)} ms before, ${during.toFixed(2)} ms while the attack holds`,
    );
    expect(during).toBeLessThan(before * 5 + 5);
    const { answers } = await attacks[1]!.look();
    expect(answers[0]).toMatch(/^HTTP\/1.1 503 [^]*this address has too many connections/);
    expect(relay.log()).toMatch(new RegExp(`refused a connection from uid ${STRANGER}, which has 256; is it a proxy`));
    // Another user has a share of its own.
    const other = await crowd(one, 10, "GET / HTTP/1.1\r\nHost: web\r\n\r\n", STRANGER + 1);
    await until("its answers", async () => (await other.look()).answers.length === 10);
    expect((await other.look()).answers.every((answer) => answer.startsWith("HTTP/1.1 200 "))).toBe(true);
  });

  test("holds no more requests that are under way than that", async () => {
    const port = await route();
    await crowd(port, 2_100, "GET /hang HTTP/1.1\r\nHost: web\r\n\r\n", STRANGER);
    await untilAnswered(port, 20);
  });

  test("that is an app's own is no trusted proxy, though it has the proxy's address", async () => {
    const port = await route({ trustedProxies: ["127.0.0.1"], uid: APP });
    const lie = "GET / HTTP/1.1\r\nHost: web\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n";
    const proxy = await crowd(port, 300, lie, STRANGER);
    await until("all answers", async () => (await proxy.look()).answers.length === 300);
    for (const answer of (await proxy.look()).answers)
      expect(answer).toMatch(/X-Forwarded-For: 192\.0\.2\.9, 127\.0\.0\.1\r\n|^HTTP\/1\.1 503/);
    await proxy.stop();
    const attack = await crowd(port, 300, lie, APP);
    await until("all answers", async () => (await attack.look()).answers.length === 300);
    const { answers } = await attack.look();
    expect(answers.filter((answer) => answer.startsWith("HTTP/1.1 503 ")).length).toBe(300 - CONNECTIONS_PER_CLIENT);
    expect(answers.every((answer) => !answer.includes("192.0.2.9"))).toBe(true);
  });
});

describe("behind a trusted proxy", () => {
  const from = (address: string, path: string) =>
    `GET ${path} HTTP/1.1\r\nHost: web\r\nX-Forwarded-For: ${address}\r\n\r\n`;

  async function send(port: number, text: string): Promise<RawClient> {
    const client = await rawClient(port);
    clients.push(client);
    client.write(text);
    return client;
  }

  test("each client has its share of requests, not each connection of the proxy's", async () => {
    const port = await route({ trustedProxies: ["127.0.0.1", "10.0.0.1"] });
    const name = `app${count}`;
    // What the client itself made up stands first, and a second proxy that is trusted, last.
    for (let i = 0; i < CONNECTIONS_PER_CLIENT; i++)
      await send(port, from(i % 2 ? "192.0.2.7" : `192.0.2.${i}, 192.0.2.7, 10.0.0.1`, "/hang"));
    await until("all are under way", async () => (await underWay(name)) === CONNECTIONS_PER_CLIENT);
    const over = await send(port, from("192.0.2.7", "/"));
    expect((await over.until(() => false)).text).toMatch(
      /^HTTP\/1.1 503 [^]*this client has too many requests under way/,
    );
    const other = await send(port, from("192.0.2.8", "/"));
    expect((await other.until("200 OK")).ending).toBe("open");
    // One that ends makes room, and one after the other on a connection counts once.
    clients[0]!.reset();
    await until("one has ended", async () => (await underWay(name)) === CONNECTIONS_PER_CLIENT - 1);
    const again = await send(port, "");
    for (let times = 1; times <= 3; times++) {
      again.write(from("192.0.2.7", "/"));
      await again.until((text) => text.split("200 OK").length > times);
    }
    expect(again.ending()).toBe("open");
  });

  test.each([
    ["192.0.2.1:4711", "192.0.2.1"],
    ["[2001:db8::1]:4711", "2001:db8::2"],
    ["2001:db8::1", "2001:db8:0:0:1::1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
  ])("%s and %s are one client", async (one, other) => {
    const port = await route({ trustedProxies: ["127.0.0.1"] });
    const name = `app${count}`;
    for (let i = 0; i < CONNECTIONS_PER_CLIENT; i++) await send(port, from(one, "/hang"));
    await until("all are under way", async () => (await underWay(name)) === CONNECTIONS_PER_CLIENT);
    const over = await send(port, from(other, "/"));
    expect((await over.until(() => false)).text).toStartWith("HTTP/1.1 503 ");
  });
});
