// A connection to an app outlives its client and carries the requests of others: only where nothing can be left on it, and never
// what was meant for somebody else.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { makeApp } from "../../../lib/fronts/relay/app.ts";
import { OWNER_TIME, POOL_SIZE, REUSE_TIME } from "../../../lib/fronts/relay/limits.ts";
import { unused } from "../../../lib/fronts/relay/outlet.ts";
import { takePooled } from "../../../lib/fronts/relay/pool.ts";
import type { Upstream } from "../../../lib/fronts/relay/types.ts";
import { type Scripted, type Visit, scripted } from "./support/apps.ts";
import { type TestRelay, raw, rawClient, startRelay, until } from "./support/relay.ts";

const CLOSE = "Host: web\r\nConnection: close\r\n\r\n";
const GET = `GET /shared HTTP/1.1\r\n${CLOSE}`;
const answer = (body: string) => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const OK = answer("ok");
const POISON = answer("POISON");

let relay: TestRelay;
const apps: Scripted[] = [];
beforeAll(async () => {
  relay = await startRelay();
});
afterAll(async () => {
  for (const app of apps) app.stop();
  await relay?.stop();
});

let count = 0;

/** A scripted app, told of every request with its number on that connection, from 1. */
async function behind(onRequest: (visit: Visit, number: number) => void) {
  const seen = new Map<Visit, number>();
  const app = scripted((visit) => {
    if (!visit.got.endsWith("\r\n\r\n") && !visit.got.endsWith("body")) return;
    const number = (seen.get(visit) ?? 0) + 1;
    seen.set(visit, number);
    onRequest(visit, number);
  });
  apps.push(app);
  const name = `app${++count}`;
  return { app, name, port: await relay.add(name, app.port) };
}

const statusOf = async (name: string) => (await relay.front.status(name)).routes[0]!;
const requestsOn = (visit: Visit) => visit.got.split(/ HTTP\/1\.[01]\r\n/).length - 1;

/** Asks as a client of its own until the app got a second request on a connection: the relay may be too slow for one. */
async function askUntilShared(port: number, app: Scripted): Promise<void> {
  await until("two clients share a connection", async () => {
    expect((await raw(port, GET)).text).toEndWith("ok");
    return app.visits.some((visit) => requestsOn(visit) > 1);
  });
}

describe("clients one after the other", () => {
  test.each([
    ["with a length", OK],
    ["with the length 0", "HTTP/1.1 200 ok\r\nContent-Length: 0\r\n\r\n"],
    ["in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"],
    [
      "in chunks with a trailer",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n",
    ],
  ])("get their answers %s over one connection to the app", async (_name, text) => {
    const { port, app } = await behind((visit) => visit.write(text));
    await until("two share a connection", async () => {
      const { text: got, ending } = await raw(port, GET);
      expect(got.replace("Connection: close\r\n", "")).toBe(text);
      expect(ending).toBe("eof");
      return app.visits.some((visit) => requestsOn(visit) > 1);
    });
  });

  test("share it also when they keep theirs open, and then go", async () => {
    const { port, app } = await behind((visit) => visit.write(OK));
    await until("two share a connection", async () => {
      const client = await rawClient(port);
      client.write("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
      await client.until("ok");
      client.end();
      await client.until(() => false);
      return app.visits.some((visit) => requestsOn(visit) > 1);
    });
  });

  test("are told apart: each request has its own client's address", async () => {
    const { port, app } = await behind((visit) => visit.write(OK));
    await askUntilShared(port, app);
    const shared = app.visits.find((visit) => requestsOn(visit) > 1)!;
    expect(shared.got.match(/^X-Forwarded-For: 127.0.0.1$/gm)!.length).toBe(requestsOn(shared));
  });

  test("at most so many are kept, and none for long", async () => {
    const over = 16;
    const waiting: Visit[] = [];
    const { port, app } = await behind((visit) => void waiting.push(visit));
    const asked = Array.from({ length: POOL_SIZE + over }, () => raw(port, GET));
    await until("all are under way", () => waiting.length === POOL_SIZE + over);
    for (const visit of waiting.splice(0)) visit.write(OK);
    await Promise.all(asked);
    const last = raw(port, GET);
    await until("one more", () => waiting.length === 1);
    waiting[0]!.write(OK);
    await last;
    expect(app.visits.filter(({ state }) => state !== "open").length).toBeGreaterThanOrEqual(over);
    await until("nothing is left", () => app.visits.every(({ state }) => state !== "open"));
  });

  test.each([
    ["neither idle nor checked for long", 0, 0, true],
    ["idle for too long", REUSE_TIME + 1, REUSE_TIME + 1, false],
    ["checked too long ago", 0, OWNER_TIME + 1, false],
  ])("a connection that was %s: given to another", async (_name, idle, checked, isGiven) => {
    const { app } = await behind(() => undefined);
    const target = { id: "1-aaaaaaa", port: app.port };
    const listen = { host: "127.0.0.1", port: 0 };
    const of = makeApp({ app: "aged", listen, protocol: "http", trustedProxies: [], target });
    const socket = await Bun.connect<Upstream>({ hostname: "127.0.0.1", port: app.port, socket: { data() {} } });
    const now = performance.now();
    const upstream: Upstream = {
      socket,
      ...unused(now),
      client: null,
      target,
      isPaused: false,
      isAhead: false,
      pool: of.pool,
      isShared: true,
      checkedAt: now - checked,
      isReused: false,
      hasAnswered: true,
      isEof: false,
      idleSince: now - idle,
    };
    of.pool.push(upstream);
    expect(takePooled(of, target)).toBe(isGiven ? upstream : null);
    expect(of.pool.length).toBe(0);
    socket.terminate();
  });

  test("of two apps at one port share nothing", async () => {
    const app = scripted((visit) => visit.got.endsWith("\r\n\r\n") && visit.write(OK));
    apps.push(app);
    const ports = [await relay.add("left", app.port), await relay.add("right", app.port)];
    for (let i = 0; i < 6; i++) await raw(ports[i % 2]!, `GET /${i % 2} HTTP/1.1\r\n${CLOSE}`);
    for (const { got } of app.visits) expect(new Set(got.match(/^GET \S+/gm)).size).toBe(1);
  });
});

describe("a connection that carried what may bind it", () => {
  const BINDING = [
    ["a body", `POST /own HTTP/1.1\r\nContent-Length: 4\r\n${CLOSE}body`],
    ["a body in a GET", `GET /own HTTP/1.1\r\nContent-Length: 4\r\n${CLOSE}body`],
    ["a length of 0", `GET /own HTTP/1.1\r\nContent-Length: 0\r\n${CLOSE}`],
    ["chunks", `PUT /own HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${CLOSE}0\r\n\r\n`],
    ["a POST without a body", `POST /own HTTP/1.1\r\n${CLOSE}`],
    ["HEAD", `HEAD /own HTTP/1.1\r\n${CLOSE}`],
    ["Expect", `GET /own HTTP/1.1\r\nExpect: 100-continue\r\n${CLOSE}`],
    [
      "an upgrade that was not granted",
      "GET /own HTTP/1.1\r\nHost: web\r\nConnection: close, Upgrade\r\nUpgrade: x\r\n\r\n",
    ],
    ["NTLM", `GET /own HTTP/1.1\r\nAuthorization: NTLM TlRMTVNTUAAB\r\n${CLOSE}`],
    ["Negotiate", `GET /own HTTP/1.1\r\nauthorization: negotiate YII\r\n${CLOSE}`],
    ["two Authorizations", `GET /own HTTP/1.1\r\nAuthorization: Basic YQ==\r\nAuthorization: NTLM TlR\r\n${CLOSE}`],
    ["HTTP/1.0", "GET /own HTTP/1.0\r\nHost: web\r\n\r\n"],
  ] as const;

  test.each(BINDING)("%s: came on one of its own, and carries nothing after it", async (_name, request) => {
    const { port, app, name } = await behind((visit) => visit.write(OK));
    await askUntilShared(port, app);
    for (const bytes of [request, GET, request, GET, GET]) {
      const { text } = await raw(port, bytes);
      expect(text.match(/^HTTP\/1.1 \d+/gm)).toEqual(["HTTP/1.1 200"]);
    }
    const own = app.visits.filter(({ got }) => got.includes(" /own "));
    expect(own.map(requestsOn)).toEqual([1, 1]);
    expect((await statusOf(name)).failed).toBe(0);
  });

  test.each([
    ["401", "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\nContent-Length: 2\r\n\r\nok"],
    ["407", "HTTP/1.1 407 Proxy\r\nContent-Length: 2\r\n\r\nok"],
    ["204", "HTTP/1.1 204 No Content\r\n\r\n"],
    ["304", "HTTP/1.1 304 Not Modified\r\n\r\n"],
    ["Connection: close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"],
    ["HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"],
    ["more than its length", `${OK}${POISON}`],
    ["more than its chunks", `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${POISON}`],
  ])("an answer with %s: carries nothing after it", async (_name, text) => {
    const { port, app } = await behind((visit) => visit.write(text));
    for (let i = 0; i < 4; i++) expect((await raw(port, GET)).text).not.toContain("POISON");
    expect(app.visits.map(requestsOn)).toEqual([1, 1, 1, 1]);
  });

  test("a request with a body takes the place of an idle connection, not one more", async () => {
    let others: string[] = [];
    const { port, app } = await behind((visit) => {
      others = app.visits.filter((other) => other !== visit).map(({ state }) => state);
      visit.write(OK);
    });
    await askUntilShared(port, app);
    await raw(port, `POST / HTTP/1.1\r\nContent-Length: 4\r\n${CLOSE}body`);
    expect(others).not.toContain("open");
  });

  test("credentials that count for one request bind nothing", async () => {
    const { port, app } = await behind((visit) => visit.write(OK));
    await until("two clients share a connection", async () => {
      for (const scheme of ["Basic YTpi", "bearer abc"])
        await raw(port, `GET /own HTTP/1.1\r\nAuthorization: ${scheme}\r\n${CLOSE}`);
      return app.visits.some((visit) => requestsOn(visit) > 1);
    });
  });
});

describe("bytes that nobody asked for", () => {
  test("close an idle connection, and go to nobody", async () => {
    const { port, app } = await behind((visit) => visit.write(OK));
    await raw(port, GET);
    app.visits[0]!.write(POISON);
    expect((await raw(port, GET)).text).toEndWith("ok");
    expect(app.visits.map(requestsOn)).toEqual([1, 1]);
    await until("it is closed", () => app.visits[0]!.state !== "open");
  });

  test.each([
    ["a second answer", (visit: Visit) => visit.write(POISON)],
    ["a FIN", (visit: Visit) => visit.end()],
    ["a second answer and a FIN", (visit: Visit) => (visit.write(POISON), visit.end())],
  ])("that arrive while the relay reads the next request go to nobody: %s", async (_name, send) => {
    const { port, app, name } = await behind((visit) => visit.write(OK));
    for (let i = 0; i < 3; i++) {
      await raw(port, GET);
      const client = await rawClient(port);
      await until("it is accepted", async () => (await statusOf(name)).connections === 1);
      // The request is there first, so that the relay handles it first.
      process.kill(relay.pid(), "SIGSTOP");
      client.write(GET);
      for (const visit of app.visits) if (visit.state === "open") send(visit);
      process.kill(relay.pid(), "SIGCONT");
      const { text, ending } = await client.until(() => false);
      expect([text.replace("Connection: close\r\n", ""), ending]).toEqual([OK, "eof"]);
      client.close();
    }
    expect((await statusOf(name)).failed).toBe(0);
  });

  test("and come later than the next request are a malformed answer at most", async () => {
    // Not HTTP: what an app sends that has forgotten its own length.
    const { port, app } = await behind((visit, number) => visit.write(number === 1 ? OK : "rest"));
    await until("a second request", async () => {
      const { text } = await raw(port, GET);
      if (!text.startsWith("HTTP/1.1 502 ")) expect(text).toEndWith("ok");
      return app.visits.some((visit) => requestsOn(visit) > 1);
    });
  });
});

describe("an idle connection that the app gives up while a request is on its way", () => {
  test.each([
    ["by RST", (visit: Visit) => visit.reset()],
    ["by FIN", (visit: Visit) => visit.end()],
  ])("%s: the request is sent once more, on a fresh one", async (_name, giveUp) => {
    const { port, app, name } = await behind((visit, number) => (number === 1 ? visit.write(OK) : giveUp(visit)));
    await askUntilShared(port, app);
    const lost = app.visits.findIndex((visit) => requestsOn(visit) === 2);
    expect(app.visits.length).toBe(lost + 2);
    expect((await statusOf(name)).failed).toBe(0);
  });

  test("it gets a fresh one, not another idle one", async () => {
    const held: Visit[] = [];
    const { port, app } = await behind((visit, number) => {
      if (number > 1) visit.reset();
      else if (app.visits.length > 4) visit.write(OK);
      else held.push(visit);
    });
    const four = Array.from({ length: 4 }, () => raw(port, GET));
    await until("four are under way", () => held.length === 4);
    for (const visit of held) visit.write(OK);
    await Promise.all(four);
    expect((await raw(port, GET)).text).toEndWith("ok");
    expect(app.visits.filter((visit) => requestsOn(visit) > 1).length).toBeLessThanOrEqual(1);
    expect(app.visits.length).toBe(5);
  });

  test("when the fresh one is lost too, it is 502 and not sent a third time", async () => {
    let isGoing = false;
    const { port, app, name } = await behind((visit, number) => {
      isGoing ||= number > 1;
      if (isGoing) visit.reset();
      else visit.write(OK);
    });
    await until("one is lost", async () => {
      const { text } = await raw(port, GET);
      return text.startsWith("HTTP/1.1 502 ");
    });
    const all = app.visits.map(requestsOn);
    expect(all.slice(-2)).toEqual([2, 1]);
    expect((await statusOf(name)).failed).toBe(1);
  });

  test("after the first byte of an answer it is 502, and never sent again", async () => {
    const { port, app } = await behind((visit, number) => {
      visit.write(number === 1 ? OK : "H");
      if (number > 1) visit.reset();
    });
    let text = "";
    await until("one is lost", async () => !(text = (await raw(port, GET)).text).endsWith("ok"));
    expect(text).toStartWith("HTTP/1.1 502 ");
    expect(requestsOn(app.visits.at(-1)!)).toBe(2);
  });

  test("the app that crashed and is there again answers the next request", async () => {
    const first = scripted((visit) => visit.write(OK));
    apps.push(first);
    const port = await relay.add("crashes", first.port);
    await raw(port, GET);
    first.stop();
    const second = scripted((visit) => visit.write(answer("again")), first.port);
    apps.push(second);
    expect((await raw(port, GET)).text).toEndWith("again");
    expect((await statusOf("crashes")).failed).toBe(0);
  });
});

describe("a change of the release", () => {
  const pair = () => {
    const both = ["old", "new"].map((word) => scripted((visit) => visit.write(answer(word))));
    apps.push(...both);
    return both as [Scripted, Scripted];
  };

  test("closes the idle connections to the old one, and all requests go to the new one", async () => {
    const [old, fresh] = pair();
    const port = await relay.add("moves", old.port);
    await Promise.all(Array.from({ length: 8 }, () => raw(port, GET)));
    await relay.front.point("moves", { id: "2-bbbbbbb", port: fresh.port });
    expect(old.visits.map(({ state }) => state)).not.toContain("open");
    const before = old.visits.length;
    for (let i = 0; i < 4; i++) expect((await raw(port, GET)).text).toEndWith("new");
    expect(old.visits.length).toBe(before);
    // Back to the very target that it had: a connection of then is not one of now.
    await relay.front.point("moves", { id: "1-aaaaaaa", port: old.port });
    expect((await raw(port, GET)).text).toEndWith("old");
    expect(old.visits.length).toBe(before + 1);
  });

  test("a connection that was busy during it carries nothing after it", async () => {
    const { app, port, name } = await behind((visit) => void visit);
    const asked = raw(port, GET);
    await until("the request", () => app.visits.length === 1);
    const [, fresh] = pair();
    await relay.front.point(name, { id: "2-bbbbbbb", port: fresh.port });
    app.visits[0]!.write(OK);
    expect((await asked).text).toEndWith("ok");
    await until("it is closed", () => app.visits[0]!.state !== "open");
    await relay.front.point(name, { id: "1-aaaaaaa", port: app.port });
    const again = raw(port, GET);
    await until("the next request", () => app.visits.length === 2);
    app.visits[1]!.write(OK);
    await again;
  });

  test("a hold closes them, and draining waits for none of them", async () => {
    const [app] = pair();
    const port = await relay.add("holds", app.port);
    await raw(port, GET);
    await relay.front.hold("holds");
    await until("it is closed", () => app.visits.every(({ state }) => state !== "open"));
    expect(await relay.front.drain("holds", "1-aaaaaaa", 10_000)).toEqual({ requests: 0, tunnelsClosed: 0 });
    await relay.front.resume("holds");
    expect((await raw(port, GET)).text).toEndWith("old");
    expect(app.visits.length).toBe(2);
  });

  test("an app that is removed keeps none", async () => {
    const [app] = pair();
    const port = await relay.add("goes", app.port);
    await raw(port, GET);
    await relay.front.remove("goes");
    await until("it is closed", () => app.visits.every(({ state }) => state !== "open"));
  });
});

describe("the end of a client's connection", () => {
  test("a client that sends on with its last request has its answer whole, and the app's connection ends with it", async () => {
    const { port, app } = await behind((visit) => visit.write(OK));
    for (let i = 0; i < 4; i++) {
      const { text, ending } = await raw(port, `${GET}more`);
      expect([text.replace("Connection: close\r\n", ""), ending]).toEqual([OK, "eof"]);
    }
    expect(app.visits.map(requestsOn)).toEqual([1, 1, 1, 1]);
  });

  test("a client that sends on while it is answered has its answer whole", async () => {
    const asked: Visit[] = [];
    const { port } = await behind((visit) => void asked.push(visit));
    const client = await rawClient(port);
    client.write(GET);
    await until("the request", () => asked.length === 1);
    // The answer is there first, so that the relay passes it on before it reads the rest.
    process.kill(relay.pid(), "SIGSTOP");
    asked[0]!.write(OK);
    client.write("more");
    process.kill(relay.pid(), "SIGCONT");
    const { text, ending } = await client.until(() => false);
    expect([text.replace("Connection: close\r\n", ""), ending]).toEqual([OK, "eof"]);
    client.close();
  });

  test("no connection is counted when all are gone", async () => {
    const { port, name } = await behind((visit) => visit.write(OK));
    await Promise.all(Array.from({ length: 40 }, () => raw(port, GET)));
    await until("none", async () => (await statusOf(name)).connections === 0);
    expect((await statusOf(name)).inFlight).toEqual({});
  });
});
