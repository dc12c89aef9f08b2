// The reason for the relay: releases change under load, and no request fails.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { DpError } from "../../../lib/errors.ts";
import { type Kind, type Scripted, type TestApp, scripted, startApp } from "./support/apps.ts";
import { load } from "./support/load.ts";
import { type TestRelay, raw, rawClient, startRelay, until } from "./support/relay.ts";

const GET = "GET / HTTP/1.1\r\nHost: web\r\n\r\n";
const SLOW = "GET /slow HTTP/1.1\r\nHost: web\r\n\r\n";

let relay: TestRelay;
const running: (TestApp | Scripted)[] = [];
beforeAll(async () => {
  relay = await startRelay();
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((app) => app.stop()));
});
afterAll(() => relay?.stop());

async function start(kind: Kind, name: string, port?: number): Promise<TestApp> {
  const app = await startApp(kind, name, port);
  running.push(app);
  return app;
}

const statusOf = async (name: string) => (await relay.front.status()).routes.find((route) => route.app === name)!;

describe("switching under load", () => {
  test.each(["bun", "node", "harsh"] as const)("%s: six releases, no failed request", async (kind) => {
    let live = await start(kind, "0");
    const name = `switch-${kind}`;
    const port = await relay.add(name, live.port);
    const hasTunnels = kind !== "node";
    const paths = { echo: "/echo", slow: "/slow", ...(hasTunnels ? { websocket: "/ws" } : {}) };
    const running = load({ port, keepAlive: 24, fresh: 6, slow: 4, websockets: 2, paths, think: 20 });
    let id = "1-aaaaaaa";
    for (let release = 1; release <= 6; release++) {
      const next = await start(kind, String(release));
      const nextId = `${release + 1}-aaaaaaa`;
      await relay.front.point(name, { id: nextId, port: next.port });
      // From here on a new connection sees the new release and nothing else.
      const { text } = await raw(port, "GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n");
      expect(text).toEndWith(`\r\n\r\n${release}`);
      const drained = await relay.front.drain(name, id, 10_000);
      expect(drained.requests).toBe(0);
      expect((await statusOf(name)).inFlight[id]).toBeUndefined();
      await live.stop();
      [live, id] = [next, nextId];
      await until("the new release is in use", () => running.soFar().answers[release] !== undefined);
    }
    const result = await running.stop();
    expect(result.failures).toEqual([]);
    expect(result.failed).toBe(0);
    expect(result.requests).toBeGreaterThan(1_000);
    expect(Object.keys(result.answers).toSorted()).toEqual(["0", "1", "2", "3", "4", "5", "6"]);
    expect((await statusOf(name)).failed).toBe(0);
    if (hasTunnels) {
      expect(result.websockets.failed).toBe(0);
      expect(result.websockets.messages).toBeGreaterThan(10);
    }
  });

  test("hold, stop, start on the same port, resume: no failed request", async () => {
    let app = await start("harsh", "0");
    const port = await relay.add("held", app.port);
    const running = load({
      port,
      keepAlive: 16,
      fresh: 4,
      slow: 2,
      paths: { echo: "/echo", slow: "/slow" },
      think: 20,
    });
    await until("the app is in use", () => running.soFar().answers[0] !== undefined);
    for (let release = 1; release <= 3; release++) {
      await relay.front.hold("held");
      expect(await relay.front.drain("held", "1-aaaaaaa", 10_000)).toEqual({ requests: 0, tunnelsClosed: 0 });
      await app.stop();
      await until("requests wait", async () => (await statusOf("held")).waiting > 3);
      app = await start("harsh", String(release), app.port);
      await relay.front.resume("held");
      await until("the new app is in use", () => running.soFar().answers[release] !== undefined);
    }
    const result = await running.stop();
    expect(result.failures).toEqual([]);
    expect(Object.keys(result.answers).toSorted()).toEqual(["0", "1", "2", "3"]);
  });
});

describe("pointing", () => {
  test("an old connection's next request goes to the new release, on a connection of its own", async () => {
    const [old, fresh] = [0, 1].map((i) =>
      scripted((visit) => visit.write(`HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${i}`)),
    );
    running.push(old!, fresh!);
    const port = await relay.add("follow", old!.port);
    const client = await rawClient(port);
    client.write(GET);
    await client.until(/\r\n\r\n0$/);
    await relay.front.point("follow", { id: "2-bbbbbbb", port: fresh!.port });
    await until("the idle connection to the old one is closed", () => old!.visits[0]!.state !== "open");
    client.write(GET);
    await client.until(/\r\n\r\n1$/);
    client.close();
  });

  test("a request that waits for a connect follows", async () => {
    const gone = scripted(() => undefined);
    gone.stop();
    const port = await relay.add("waits", gone.port);
    const answer = raw(port, "POST /echo HTTP/1.1\r\nHost: web\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
    await until("the request", async () => (await statusOf("waits")).requests === 1);
    const app = await start("bun", "here");
    await relay.front.point("waits", { id: "2-bbbbbbb", port: app.port });
    expect((await answer).text).toEndWith("\r\n\r\nhi");
  });

  test("those that wait for more apps than the kernel is asked about at once are all answered", async () => {
    const places = Array.from({ length: 20 }, () => scripted(() => undefined));
    for (const place of places) place.stop();
    const ports = await Promise.all(places.map((place, at) => relay.add(`many-${at}`, place.port)));
    const answers = ports.map((port) => raw(port, "GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n"));
    const isAsked = async (at: number) => (await statusOf(`many-${at}`)).requests === 1;
    await until("the requests", async () => (await Promise.all(places.keys().map(isAsked))).every(Boolean));
    const names = places.map((_, at) => `app ${at}`);
    await Promise.all(places.map((place, at) => start("bun", names[at]!, place.port)));
    expect((await Promise.all(answers)).map(({ text }) => text.split("\r\n\r\n")[1]!)).toEqual(names);
  });

  test("nowhere: 503, until there is a release again", async () => {
    const app = await start("bun", "back");
    const port = await relay.add("away", app.port);
    await relay.front.point("away", null);
    expect((await raw(port, GET)).text).toStartWith("HTTP/1.1 503 ");
    await relay.front.point("away", { id: "1-aaaaaaa", port: app.port });
    const client = await rawClient(port);
    client.write(GET);
    await client.until(/back$/);
    client.close();
  });

  test("an app that is not there is an error that says so", async () => {
    const error = await relay.front.point("nobody", null).catch((problem: unknown) => problem);
    expect(error).toBeInstanceOf(DpError);
    expect(error).toMatchObject({ exit: "host", message: "the relay has no app nobody", hint: "dp setup nobody" });
  });
});

describe("draining", () => {
  test("waits for the 500 ms that a request takes, and not for the next ones", async () => {
    const [old, fresh] = await Promise.all([start("harsh", "old"), start("bun", "new")]);
    const port = await relay.add("drain", old.port);
    const client = await rawClient(port);
    client.write(SLOW);
    await until("it is under way", async () => (await statusOf("drain")).inFlight["1-aaaaaaa"]?.requests === 1);
    await relay.front.point("drain", { id: "2-bbbbbbb", port: fresh.port });
    const begun = performance.now();
    expect(await relay.front.drain("drain", "1-aaaaaaa", 10_000)).toEqual({ requests: 0, tunnelsClosed: 0 });
    expect(performance.now() - begun).toBeGreaterThan(100);
    expect((await client.until(/old$/)).ending).toBe("open");
    client.close();
  });

  test("closes websockets after the requests, with FIN", async () => {
    const [old, fresh] = await Promise.all([start("bun", "old"), start("bun", "new")]);
    const port = await relay.add("tunnels", old.port);
    const client = await rawClient(port);
    client.write(
      "GET /ws HTTP/1.1\r\nHost: web\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    await client.until("HTTP/1.1 101");
    const slow = await rawClient(port);
    slow.write(SLOW);
    await until("both", async () => (await statusOf("tunnels")).inFlight["1-aaaaaaa"]?.requests === 1);
    expect((await statusOf("tunnels")).inFlight["1-aaaaaaa"]).toEqual({ requests: 1, tunnels: 1 });
    await relay.front.point("tunnels", { id: "2-bbbbbbb", port: fresh.port });
    const drained = relay.front.drain("tunnels", "1-aaaaaaa", 10_000);
    await slow.until(/old$/);
    expect((await client.until(() => false)).ending).toBe("eof");
    expect(await drained).toEqual({ requests: 0, tunnelsClosed: 1 });
    slow.close();
  });

  test("cuts what is left when the time is over, and counts it", async () => {
    const [old, fresh] = await Promise.all([start("bun", "old"), start("bun", "new")]);
    const port = await relay.add("late", old.port);
    const client = await rawClient(port);
    client.write("GET /events HTTP/1.1\r\nHost: web\r\n\r\n");
    await client.until("data: old");
    await relay.front.point("late", { id: "2-bbbbbbb", port: fresh.port });
    expect(await relay.front.drain("late", "1-aaaaaaa", 200)).toEqual({ requests: 1, tunnelsClosed: 0 });
    expect((await client.until(() => false)).ending).toBe("reset");
  });

  test("a release that takes requests cannot be drained", async () => {
    const app = await start("bun", "live");
    await relay.add("live", app.port);
    await expect(relay.front.drain("live", "1-aaaaaaa", 100)).rejects.toThrow(/takes requests/);
  });
});

describe("holding", () => {
  test("a request waits, with its body, and is answered after the hold", async () => {
    const app = await start("bun", "held");
    const port = await relay.add("hold", app.port);
    await relay.front.hold("hold");
    const client = await rawClient(port);
    const body = "x".repeat(200_000);
    client.write(`POST /echo HTTP/1.1\r\nHost: web\r\nContent-Length: ${body.length}\r\n\r\n${body}${GET}`);
    await until("it waits", async () => (await statusOf("hold")).waiting === 1);
    expect(await statusOf("hold")).toMatchObject({ isHeld: true, inFlight: {} });
    await relay.front.resume("hold");
    await client.until((text) => text.includes(body) && text.endsWith("held"));
    client.close();
  });

  test("a body on a connection that was used before waits with its head", async () => {
    const app = scripted((visit) => visit.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    running.push(app);
    const port = await relay.add("used", app.port);
    const client = await rawClient(port);
    client.write(GET);
    await client.until("ok");
    await relay.front.hold("used");
    client.write("POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 4\r\n\r\nbody");
    await until("it waits", async () => (await statusOf("used")).waiting === 1);
    expect(app.visits.map((visit) => [visit.got.includes("body"), visit.state])).toEqual([[false, "half"]]);
    await relay.front.resume("used");
    await client.until(/ok[^]*ok$/);
    expect(app.visits[1]!.got).toMatch(/^POST [^]*\r\n\r\nbody$/);
    client.close();
  });

  test("past its limit a request is 504, and says why", async () => {
    const app = await start("bun", "held");
    const port = await relay.add("limit", app.port);
    await relay.front.hold("limit", 200);
    expect((await raw(port, GET)).text).toMatch(/^HTTP\/1.1 504 [^]*limit: it was being restarted/);
    expect(await statusOf("limit")).toMatchObject({ waiting: 0, failed: 1 });
  });

  test("a client that gives up no longer waits", async () => {
    const app = await start("bun", "held");
    const port = await relay.add("gives-up", app.port);
    await relay.front.hold("gives-up");
    const client = await rawClient(port);
    client.write(GET);
    await until("it waits", async () => (await statusOf("gives-up")).waiting === 1);
    client.reset();
    await until("nobody waits", async () => (await statusOf("gives-up")).waiting === 0);
    await relay.front.resume("gives-up");
  });
});
