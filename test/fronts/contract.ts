// What every front keeps, checked with real apps and real connections. Called by the test of each front.
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { DpError } from "../../lib/errors.ts";
import type { Front, Route } from "../../lib/contracts/front.ts";
import { makeIo, silentLog } from "../../lib/host/io.ts";
import { type Kind, scripted, startApp, type TestApp } from "./relay/support/apps.ts";
import { load, type LoadResult } from "./relay/support/load.ts";
import { freePort, until } from "../support/box-host.ts";

/** A front on a host where it works. */
export interface Subject {
  front: Front;
}

const io = makeIo(silentLog);
const random = () => Math.random().toString(36).slice(2, 8);
const SHOWN = process.env["DP_TEST_FIGURES"] === "1";

/** Prints what a test measured, when DP_TEST_FIGURES is 1. */
export function figure(what: string, value: unknown): void {
  if (SHOWN) console.error(`figure: ${what}: ${JSON.stringify(value)}`);
}

/** Apps and routes of one test, and their end. */
export function workshop(subject: () => Subject) {
  const apps: TestApp[] = [];
  const routes: string[] = [];
  const front = () => subject().front;
  let count = 0;
  return {
    /** Sets up a route on a free port, without a target. */
    async route(more: Partial<Omit<Route, "target">> = {}): Promise<Omit<Route, "target">> {
      const listen = { host: "127.0.0.1", port: await freePort() };
      const route = { app: `t${random()}`, listen, protocol: "http" as const, trustedProxies: [], ...more };
      routes.push(route.app);
      await front().setup(route, io);
      return route;
    },
    /** Starts a release: it answers "/" with its id. */
    async release(kind: Kind = "bun", at?: number): Promise<TestApp> {
      const app = await startApp(kind, `${++count}-aaaaaaa`, at);
      apps.push(app);
      return app;
    },
    /** Points the front at a release. */
    point: (app: string, release: TestApp) => front().point(app, { id: release.name, port: release.port }, io),
    async clean(): Promise<void> {
      for (const app of routes) await front().remove(app, io);
      for (const app of apps) await app.stop();
      routes.length = 0;
      apps.length = 0;
    },
  };
}

/** What the public port answers, its body without the final newline. */
export async function get(port: number, path = "/", headers: Record<string, string> = {}) {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { headers, redirect: "manual" });
  return { status: answer.status, text: (await answer.text()).trimEnd() };
}

const PATHS = { quick: "/", echo: "/echo", slow: "/slow", websocket: "/ws" };
/** The load of the tests, without a single retry. */
export const someLoad = (port: number) =>
  load({ port, keepAlive: 12, fresh: 3, slow: 4, websockets: 1, think: 20, paths: PATHS });

/** Expects that nothing was lost, and says what was otherwise. */
export function expectNoLoss(result: LoadResult): void {
  const { requests, failed, longestGap, p50, p99 } = result;
  expect(result.failures).toEqual([]);
  expect(result.failed).toBe(0);
  expect(result.requests).toBeGreaterThan(20);
  figure("load", { failed, requests, longestGap: Math.round(longestGap), p50, p99 });
}

/** An open websocket, and when it is closed. */
async function websocket(port: number) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`);
  const closed = new Promise<void>((resolve) => socket.addEventListener("close", () => resolve()));
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener("open", () => resolve());
    socket.addEventListener("error", () => reject(new Error("no websocket")));
  });
  return { socket, closed };
}

/** Registers the contract's tests. */
export function frontContract(subject: () => Subject): void {
  const shop = workshop(subject);
  const front = () => subject().front;
  const statusOf = async (app: string) => (await front().status(app))!;
  const flying = async (app: string, id: string) => (await statusOf(app)).inFlight[id] ?? { requests: 0, tunnels: 0 };
  afterEach(() => shop.clean(), 60_000);
  // With an app that stays, the front does too, and every other route is one more.
  const stays = workshop(subject);
  beforeAll(async () => void (await stays.route()), 60_000);
  afterAll(() => stays.clean(), 60_000);

  test("can be used here, and holds the port", async () => {
    expect(await front().unavailable()).toBeNull();
    expect(front().holdsPort).toBe(true);
  });

  test("setup takes the port, says so once, and answers 503 with the app's name until there is a release", async () => {
    const listen = { host: "127.0.0.1", port: await freePort() };
    const { app, ...rest } = await shop.route({ listen });
    expect(await front().setup({ app, ...rest }, io)).toEqual([]);
    expect(await front().status(app)).toMatchObject({ app, listen, target: null, isListening: true, error: null });
    const { status, text } = await get(listen.port);
    expect(status).toBe(503);
    expect(text).toContain(app);
    expect(await front().status(`x${app}`)).toBeNull();
  });

  test("setup keeps the target, and moves to another port", async () => {
    const route = await shop.route();
    const release = await shop.release();
    await shop.point(route.app, release);
    const listen = { host: "127.0.0.1", port: await freePort() };
    expect(await front().setup({ ...route, listen }, io)).not.toEqual([]);
    expect(await get(listen.port)).toEqual({ status: 200, text: release.name });
    await until(
      "the old port is free",
      () =>
        get(route.listen.port).then(
          () => false,
          () => true,
        ),
      10_000,
    );
    expect((await statusOf(route.app)).target).toEqual({ id: release.name, port: release.port });
  });

  test("a port that somebody else has is an error, and other apps do not notice", async () => {
    const other = await shop.route();
    const release = await shop.release();
    await shop.point(other.app, release);
    const stranger = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    try {
      const listen = { host: "127.0.0.1", port: stranger.port };
      const error = await shop.route({ listen }).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(DpError);
      expect((error as DpError).exit).toBe("host");
      const { message, lines } = error as DpError;
      expect([message, ...lines].join("\n")).toContain("held by");
    } finally {
      stranger.stop(true);
    }
    expect(await get(other.listen.port)).toEqual({ status: 200, text: release.name });
    const next = await shop.release();
    await shop.point(other.app, next);
    expect((await get(other.listen.port)).text).toBe(next.name);
  });

  test("after point every request goes to the target, on kept connections too", async () => {
    const { app, listen } = await shop.route();
    const [a, b] = [await shop.release(), await shop.release()];
    for (const release of [a, b, a, b]) {
      await shop.point(app, release);
      for (let i = 0; i < 5; i++) expect((await get(listen.port)).text).toBe(release.name);
      expect((await statusOf(app)).target).toEqual({ id: release.name, port: release.port });
    }
    await front().point(app, null, io);
    expect((await get(listen.port)).status).toBe(503);
    expect((await statusOf(app)).target).toBeNull();
  });

  test.each(["bun", "harsh"] as const)(
    "ten switches under load lose nothing (%s)",
    async (kind) => {
      const { app, listen } = await shop.route();
      let old = await shop.release(kind);
      await shop.point(app, old);
      const running = someLoad(listen.port);
      const took: number[] = [];
      for (let i = 0; i < 10; i++) {
        const release = await shop.release(kind);
        const begun = performance.now();
        await shop.point(app, release);
        took.push(performance.now() - begun);
        const fresh = await get(listen.port);
        expect(fresh).toEqual({ status: 200, text: release.name });
        expect((await front().drain(app, old.name, 10_000, io)).requests).toBe(0);
        await old.stop();
        old = release;
      }
      const result = await running.stop();
      expectNoLoss(result);
      figure(
        "switch ms",
        took.map((ms) => Math.round(ms * 10) / 10),
      );
      expect(result.websockets.failed).toBe(0);
      expect(Object.keys(result.answers).length).toBeGreaterThan(5);
      expect((await statusOf(app)).failed).toBe(0);
    },
    60_000,
  );

  test("a route that is added, changed or removed costs another app nothing", async () => {
    const { app, listen } = await shop.route();
    const [a, b] = [await shop.release(), await shop.release()];
    await shop.point(app, a);
    const running = load({
      port: listen.port,
      keepAlive: 12,
      fresh: 3,
      slow: 4,
      think: 20,
      paths: { ...PATHS, slow: "/slow" },
    });
    await until("it runs", () => running.soFar().requests > 100);
    const other = await shop.route();
    // At once, while what a change has left behind still serves connections of before.
    await shop.point(app, b);
    expect((await front().drain(app, a.name, 10_000, io)).requests).toBe(0);
    await a.stop();
    await front().setup({ ...other, listen: { host: "127.0.0.1", port: await freePort() } }, io);
    await front().remove(other.app, io);
    const so = running.soFar().requests;
    await until("it goes on", () => running.soFar().requests > so + 200);
    expectNoLoss(await running.stop());
  }, 60_000);

  test("hold lets requests wait, and resume sends them to the release of then", async () => {
    const { app, listen } = await shop.route();
    const [a, b] = [await shop.release(), await shop.release()];
    await shop.point(app, a);
    expect((await get(listen.port)).text).toBe(a.name);
    await front().hold(app, 20_000, io);
    expect((await statusOf(app)).isHeld).toBe(true);
    const waiting = Array.from({ length: 5 }, () => get(listen.port));
    await until("five wait", async () => (await statusOf(app)).waiting === 5, 10_000);
    expect((await front().drain(app, a.name, 5_000, io)).requests).toBe(0);
    await shop.point(app, b);
    expect((await statusOf(app)).waiting).toBe(5);
    await front().resume(app, io);
    for (const { status, text } of await Promise.all(waiting)) expect([status, text]).toEqual([200, b.name]);
    expect(await statusOf(app)).toMatchObject({ isHeld: false, waiting: 0 });
    await front().resume(app, io);
  }, 30_000);

  test("a request waits no longer than the limit, and is told which app it was", async () => {
    const { app, listen } = await shop.route();
    await shop.point(app, await shop.release());
    await front().hold(app, 300, io);
    const begun = performance.now();
    const { status, text } = await get(listen.port);
    expect(performance.now() - begun).toBeGreaterThan(100);
    expect(status).toBe(504);
    expect(text).toContain(app);
    expect((await statusOf(app)).failed).toBe(1);
    await front().resume(app, io);
    expect((await get(listen.port)).status).toBe(200);
  });

  test("an app that is restarted in a hold loses nothing, even one that dies at once", async () => {
    const { app, listen } = await shop.route();
    let old = await shop.release("harsh");
    await shop.point(app, old);
    const running = load({ port: listen.port, keepAlive: 12, fresh: 3, slow: 4, think: 20, paths: { ...PATHS } });
    const held: number[] = [];
    for (let i = 0; i < 5; i++) {
      const so = running.soFar().requests;
      await until("it goes on", () => running.soFar().requests > so + 50);
      const begun = performance.now();
      await front().hold(app, 20_000, io);
      expect((await front().drain(app, old.name, 10_000, io)).requests).toBe(0);
      await old.stop();
      // The same port, as an app has it that cannot run twice.
      const next = await shop.release("harsh", old.port);
      await shop.point(app, next);
      await front().resume(app, io);
      held.push(Math.round(performance.now() - begun));
      old = next;
    }
    const result = await running.stop();
    figure("hold ms", held);
    expectNoLoss(result);
  }, 60_000);

  test("drain waits for requests, then closes upgraded connections and counts them", async () => {
    const { app, listen } = await shop.route();
    const [a, b] = [await shop.release(), await shop.release()];
    await shop.point(app, a);
    const { closed } = await websocket(listen.port);
    const slow = get(listen.port, "/slow");
    await until("both are seen", async () => {
      const { requests, tunnels } = await flying(app, a.name);
      return requests === 1 && tunnels === 1;
    });
    await shop.point(app, b);
    expect(await front().drain(app, a.name, 10_000, io)).toEqual({ requests: 0, tunnelsClosed: 1 });
    expect(await slow).toEqual({ status: 200, text: a.name });
    await closed;
    expect(await flying(app, a.name)).toEqual({ requests: 0, tunnels: 0 });
    expect(await front().drain(app, "99-aaaaaaa", 1_000, io)).toEqual({ requests: 0, tunnelsClosed: 0 });
  }, 30_000);

  test("drain cuts what is left when the time is over, and says how much", async () => {
    const { app, listen } = await shop.route();
    const [a, b] = [await shop.release(), await shop.release()];
    await shop.point(app, a);
    const endless = fetch(`http://127.0.0.1:${listen.port}/events`).then((answer) => answer.text());
    const cut = endless.then(
      () => "whole",
      () => "cut",
    );
    await until("it is seen", async () => (await flying(app, a.name)).requests === 1);
    await shop.point(app, b);
    const begun = performance.now();
    expect(await front().drain(app, a.name, 300, io)).toEqual({ requests: 1, tunnelsClosed: 0 });
    expect(performance.now() - begun).toBeGreaterThan(290);
    expect(await cut).toBe("cut");
    expect((await get(listen.port)).text).toBe(b.name);
  }, 30_000);

  const SPOOF = {
    "X-Forwarded-For": "10.9.9.9",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil",
    Forwarded: "for=10.9.9.9",
    "X-Real-IP": "10.9.9.9",
    X_Forwarded_For: "10.9.9.9",
  };
  const headersAt = async (trustedProxies: string[], sent: Record<string, string>) => {
    const { app, listen } = await shop.route({ trustedProxies });
    await shop.point(app, await shop.release());
    const { text } = await get(listen.port, "/headers", { Host: "shop.test", ...sent });
    return JSON.parse(text) as Record<string, string>;
  };

  test("at the edge a client's word about itself is removed", async () => {
    const got = await headersAt([], SPOOF);
    expect(JSON.stringify(got)).not.toMatch(/10\.9\.9\.9|evil|https/);
    const own = { "x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "http", "x-forwarded-host": "shop.test" };
    expect(got).toMatchObject({ ...own, "x-real-ip": "127.0.0.1", host: "shop.test" });
    expect(Object.keys(got)).not.toContain("forwarded");
  });

  test("behind a trusted proxy its word stays, and its own address follows", async () => {
    const got = await headersAt(["127.0.0.1"], SPOOF);
    const said = { "x-forwarded-proto": "https", "x-forwarded-host": "evil", "x-real-ip": "10.9.9.9" };
    expect(got).toMatchObject({ ...said, "x-forwarded-for": "10.9.9.9, 127.0.0.1" });
    expect(got["forwarded"]).toBe("for=10.9.9.9, for=127.0.0.1");
    expect(Object.keys(got).filter((name) => name.includes("_"))).toEqual([]);
    const bare = await headersAt(["127.0.0.1"], {});
    expect(bare).toMatchObject({
      "x-forwarded-for": "127.0.0.1",
      "x-forwarded-proto": "http",
      "x-real-ip": "127.0.0.1",
    });
    expect(await headersAt(["192.0.2.1"], SPOOF)).toMatchObject({
      "x-forwarded-for": "127.0.0.1",
      "x-forwarded-proto": "http",
    });
  });

  test("a release that does not answer is 502 or 503, with the app's name, and counts as failed", async () => {
    const { app, listen } = await shop.route();
    await front().point(app, { id: "1-aaaaaaa", port: await freePort() }, io);
    const refused = await get(listen.port);
    expect(refused.status).toBe(503);
    expect(refused.text).toContain(app);
    const silent = scripted((visit) => visit.end());
    try {
      await front().point(app, { id: "2-aaaaaaa", port: silent.port }, io);
      const ended = await get(listen.port);
      expect(ended.status).toBe(502);
      expect(ended.text).toContain(app);
      expect((await statusOf(app)).failed).toBe(2);
    } finally {
      silent.stop();
    }
  }, 30_000);

  test("an app that is not up yet is waited for", async () => {
    const { app, listen } = await shop.route();
    const port = await freePort();
    await front().point(app, { id: "1-aaaaaaa", port }, io);
    const early = get(listen.port);
    await until("it has come", async () => (await statusOf(app)).requests > 0);
    await shop.release("bun", port);
    expect((await early).status).toBe(200);
  }, 30_000);

  test("a body of 8 MiB goes both ways, and a websocket too", async () => {
    const { app, listen } = await shop.route();
    await shop.point(app, await shop.release());
    const body = Buffer.alloc(8 << 20, "0123456789abcdef");
    const url = `http://127.0.0.1:${listen.port}`;
    const counted = await fetch(`${url}/count`, { method: "POST", body });
    expect(await counted.text()).toBe(String(body.length));
    expect((await (await fetch(`${url}/big?mb=8`)).arrayBuffer()).byteLength).toBe(body.length);
    const { socket, closed } = await websocket(listen.port);
    const echo = new Promise((resolve) => socket.addEventListener("message", ({ data }) => resolve(data)));
    socket.send("hello");
    expect(await echo).toBe("hello");
    socket.close();
    await closed;
  }, 30_000);

  test("protocol tcp passes bytes as they are, and new connections follow the target", async () => {
    const { app, listen } = await shop.route({ protocol: "tcp" });
    const apps = ["one", "two"].map((name) => scripted((visit) => visit.write(`${name}:${visit.got}`)));
    const say = (text: string) =>
      new Promise<string>((resolve, reject) => {
        Bun.connect({
          hostname: "127.0.0.1",
          port: listen.port,
          socket: {
            open: (socket) => void socket.write(text),
            data(socket, chunk) {
              resolve(chunk.toString());
              socket.end();
            },
            close: () => reject(new Error("closed without a word")),
            connectError: (_, error) => reject(error),
          },
        }).catch(reject);
      });
    try {
      for (const [at, { port }] of apps.entries()) {
        await front().point(app, { id: `${at + 1}-aaaaaaa`, port }, io);
        expect(await say("\0\x01 no http")).toBe(`${["one", "two"][at]}:\0\x01 no http`);
      }
    } finally {
      for (const { stop } of apps) stop();
    }
  });

  test("remove lets go of the port; again is fine, and other apps stay", async () => {
    const [one, two] = [await shop.route(), await shop.route()];
    const release = await shop.release();
    await shop.point(two.app, release);
    await front().remove(one.app, io);
    await front().remove(one.app, io);
    await until(
      "the port is free",
      () =>
        get(one.listen.port).then(
          () => false,
          () => true,
        ),
      10_000,
    );
    expect(await front().status(one.app)).toBeNull();
    expect((await get(two.listen.port)).text).toBe(release.name);
    await expect(front().point(one.app, null, io)).rejects.toBeInstanceOf(DpError);
  });
}
