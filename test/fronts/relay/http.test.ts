// What HTTP/1.1 allows, through a relay in a process of its own: to real apps, and to apps scripted byte by byte.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { type Scripted, type TestApp, type Visit, scripted, startApp } from "./support/apps.ts";
import { type TestRelay, raw, rawClient, startRelay, until } from "./support/relay.ts";

const GET = "GET / HTTP/1.1\r\nHost: web\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

let relay: TestRelay;
let bun: TestApp;
let web: number;
const scripts: Scripted[] = [];
beforeAll(async () => {
  [relay, bun] = await Promise.all([startRelay(), startApp("bun", "one")]);
  web = await relay.add("web", bun.port);
});
afterAll(async () => {
  for (const app of scripts) app.stop();
  await Promise.all([relay?.stop(), bun?.stop()]);
});

let count = 0;
/** A scripted app and the public port of it. */
async function behind(onData: (visit: Visit, count: number) => void, more = {}) {
  const app = scripted(onData);
  scripts.push(app);
  const name = `app${++count}`;
  return { app, name, port: await relay.add(name, app.port, more) };
}

/** An app that answers every whole head with the same bytes. */
const answering = (answer: string, more = {}) =>
  behind((visit) => {
    if (visit.got.endsWith("\r\n\r\n")) visit.write(answer);
  }, more);

const statusOf = async (name: string) => (await relay.front.status()).routes.find((route) => route.app === name)!;

describe("requests and answers", () => {
  test("a request goes to the app and its answer to the client, byte by byte", async () => {
    const answer =
      "HTTP/1.1 203 Fine\r\nX-Odd: \xe9\tb\r\nContent-Length: 3\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nabc";
    const { app, port } = await answering(answer);
    const client = await rawClient(port);
    client.write("GET /a?b=%20c HTTP/1.1\r\nHost: web\r\nX-Case: Kept  \r\n\r\n");
    expect((await client.until("abc")).text).toBe(answer);
    expect(app.visits[0]!.got).toStartWith(
      "GET /a?b=%20c HTTP/1.1\r\nHost: web\r\nX-Case: Kept  \r\nX-Forwarded-For: 127.0.0.1\r\n",
    );
    client.close();
  });

  test("one connection carries many requests, and so does the one to the app", async () => {
    const { app, port } = await answering(OK);
    const client = await rawClient(port);
    for (let i = 1; i <= 3; i++) {
      client.write(GET);
      await client.until((text) => text === OK.repeat(i));
    }
    expect(app.visits.length).toBe(1);
    client.close();
  });

  test("pipelined requests are answered one after the other, whole", async () => {
    const client = await rawClient(web);
    const post = "POST /echo HTTP/1.1\r\nHost: web\r\nContent-Length: 4\r\n\r\nbody";
    client.write(GET + post + GET + "GET /slow HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n");
    const { text, ending } = await client.until(() => false);
    expect(text.match(/\r\n\r\n(one|body)/g)).toEqual(["\r\n\r\none", "\r\n\r\nbody", "\r\n\r\none", "\r\n\r\none"]);
    expect(ending).toBe("eof");
    client.close();
  });

  test("a client that closes its side after the request is answered", async () => {
    const client = await rawClient(web);
    client.write(GET + "GET /slow HTTP/1.1\r\nHost: web\r\n\r\n");
    client.end();
    const { text, ending } = await client.until(() => false);
    expect(text.match(/HTTP\/1.1 200/g)?.length).toBe(2);
    expect(ending).toBe("eof");
  });

  test("HEAD, 204 and 304 have no body, whatever their length says", async () => {
    for (const [method, answer] of [
      ["HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"],
      ["GET", "HTTP/1.1 204 No Content\r\n\r\n"],
      ["GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n"],
    ] as const) {
      const { port } = await answering(answer);
      const client = await rawClient(port);
      const ask = `${method} / HTTP/1.1\r\nHost: web\r\n\r\n`;
      client.write(ask + ask);
      expect((await client.until((text) => text.length >= 2 * answer.length)).text).toBe(answer + answer);
      client.close();
    }
  });

  test("chunks and trailers go through in both directions", async () => {
    const chunked = "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n";
    const { app, port } = await behind((visit) => {
      if (visit.got.endsWith("X-Sum: 1\r\n\r\n"))
        visit.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n${chunked}`);
    });
    const client = await rawClient(port);
    client.write(`POST / HTTP/1.1\r\nHost: web\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n${chunked}`);
    expect((await client.until("X-Sum: 1\r\n\r\n")).text).toEndWith(chunked);
    expect(app.visits[0]!.got).toEndWith(chunked);
    expect(app.visits[0]!.got).toContain("TE: trailers\r\n");
    client.write(GET);
    await until("the next request", () => app.visits[0]!.got.includes("GET / "));
    client.close();
  });

  test("100-continue is the app's to say", async () => {
    const { app, port } = await behind((visit) => {
      if (visit.got.endsWith("\r\n\r\n")) visit.write("HTTP/1.1 100 Continue\r\n\r\n");
      if (visit.got.endsWith("body")) visit.write(OK);
    });
    const client = await rawClient(port);
    client.write("POST / HTTP/1.1\r\nHost: web\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    await client.until("HTTP/1.1 100 Continue\r\n\r\n");
    expect(app.visits[0]!.got).toContain("Expect: 100-continue");
    client.write("body");
    expect((await client.until("ok")).text).toBe(`HTTP/1.1 100 Continue\r\n\r\n${OK}`);
    client.close();
  });

  test("an answer instead of 100 ends the connection: the body may never come", async () => {
    const { port } = await answering("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n");
    const head = "POST / HTTP/1.1\r\nHost: web\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    const { text, ending } = await raw(port, head);
    expect([text, ending]).toEqual(["HTTP/1.1 417 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "eof"]);
  });

  test("103 goes to the client before the answer", async () => {
    const { port } = await answering(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}`);
    const client = await rawClient(port);
    client.write(GET);
    expect((await client.until("ok")).text).toBe(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}`);
    client.close();
  });

  test("an app that answers a large upload at once and closes is heard", async () => {
    const { port } = await behind((visit, visits) => {
      visit.write("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nno!");
      visit.close();
      expect(visits).toBe(1);
    });
    const client = await rawClient(port);
    client.write(`POST / HTTP/1.1\r\nHost: web\r\nContent-Length: ${64 << 20}\r\n\r\n`);
    client.write(Buffer.alloc(8 << 20, "x"));
    expect((await client.until(() => false)).text).toMatch(/^HTTP\/1.1 413 [^]*no!$/);
    client.close();
  });

  test("an answer that ends with the connection ends the client's too", async () => {
    const { port } = await behind((visit) => {
      visit.write("HTTP/1.0 200 OK\r\nServer: old\r\n\r\nall of it");
      visit.end();
    });
    const { text, ending } = await raw(port, GET);
    expect([text, ending]).toEqual(["HTTP/1.1 200 OK\r\nServer: old\r\nConnection: close\r\n\r\nall of it", "eof"]);
  });

  test("an HTTP/1.0 client gets no chunks", async () => {
    const { app, port } = await answering(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    );
    const { text, ending } = await raw(port, "GET / HTTP/1.0\r\n\r\n");
    expect([text, ending]).toEqual(["HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcde", "eof"]);
    expect(app.visits[0]!.got).toContain("Connection: close\r\n\r\n");
  });

  test("the app's Connection is between it and the relay", async () => {
    const { app, port } = await answering(
      "HTTP/1.1 200 OK\r\nConnection: close\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok",
    );
    const client = await rawClient(port);
    client.write(GET);
    await client.until("ok");
    client.write(GET);
    expect((await client.until((text) => text.length >= 2 * OK.length)).text).toBe(OK + OK);
    expect(app.visits.length).toBe(2);
    client.close();
  });

  test("a websocket talks through, and either side may end it", async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${web}/ws`);
    const said: string[] = [];
    socket.onmessage = ({ data }) => void said.push(String(data));
    await new Promise((resolve) => (socket.onopen = resolve));
    for (let i = 0; i < 50; i++) socket.send(`message ${i} ${"x".repeat(i * 997)}`);
    await until("fifty messages", () => said.length === 50);
    expect(said[49]).toStartWith("message 49 xxx");
    expect((await statusOf("web")).inFlight).toEqual({ "1-aaaaaaa": { requests: 0, tunnels: 1 } });
    socket.close();
    await until("no tunnel", async () => (await statusOf("web")).inFlight["1-aaaaaaa"] === undefined);
  });

  test("a tunnel closes one way at a time", async () => {
    const { app, port } = await behind((visit) => {
      if (visit.got.endsWith("\r\n\r\n"))
        visit.write("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n");
    });
    const client = await rawClient(port);
    client.write("GET / HTTP/1.1\r\nHost: web\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n");
    await client.until("Upgrade: raw\r\n\r\n");
    client.write("up");
    client.end();
    await until("the client's FIN", () => app.visits[0]!.got.endsWith("up") && app.visits[0]!.state === "half");
    app.visits[0]!.write("down");
    app.visits[0]!.end();
    expect(await client.until(() => false)).toMatchObject({ text: expect.stringMatching(/down$/), ending: "eof" });
  });

  test("events of an endless answer come as they are sent, and the app learns that the client is gone", async () => {
    const { app, port } = await behind((visit) => visit.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"));
    const client = await rawClient(port);
    client.write(GET);
    await client.until("\r\n\r\n");
    for (const event of ["one", "two"]) {
      app.visits[0]!.write(`3\r\n${event}\r\n`);
      await client.until(event);
    }
    client.reset();
    await until("the app's connection ends", () => app.visits[0]!.state !== "open");
  });

  test("a client that goes away in its body takes the request with it", async () => {
    const { app, name, port } = await behind(() => undefined);
    const client = await rawClient(port);
    client.write("POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 10\r\n\r\nhalf");
    await until("the half", () => app.visits[0]?.got.endsWith("half") === true);
    client.end();
    await until("the app's connection ends", () => app.visits[0]!.state === "reset");
    expect((await statusOf(name)).inFlight).toEqual({});
  });

  test("an early answer does not cut the body", async () => {
    const { app, port } = await behind((visit) => {
      if (visit.got.endsWith("start")) visit.write(OK);
    });
    const client = await rawClient(port);
    client.write("POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 10\r\n\r\nstart");
    await client.until("ok");
    client.write(`-rest${GET}`);
    await until("the next request", () => app.visits[1]?.got.startsWith("GET / HTTP") ?? false);
    expect(app.visits[0]!.got).toEndWith("\r\n\r\nstart-rest");
    client.close();
  });
});

describe("what the app learns of the client", () => {
  const LIES =
    "X-Forwarded-For: 6.6.6.6\r\nx-forwarded-proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\nX_Real_IP: 6.6.6.6\r\n";

  test("at the edge: nothing of what the client says, all of what is true", async () => {
    const { app, port } = await answering(OK);
    const client = await rawClient(port);
    client.write(`GET / HTTP/1.1\r\nHost: web:81\r\n${LIES}Accept: */*\r\n\r\n`);
    await client.until("ok");
    expect(app.visits[0]!.got).toBe(
      "GET / HTTP/1.1\r\nHost: web:81\r\nAccept: */*\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Real-IP: 127.0.0.1\r\nX-Forwarded-Host: web:81\r\n\r\n",
    );
    client.close();
  });

  test("behind a named proxy: what it says, and its own address after it", async () => {
    const { app, port } = await answering(OK, { trustedProxies: ["127.0.0.1"] });
    const client = await rawClient(port);
    client.write(`GET / HTTP/1.1\r\nHost: inner\r\n${LIES}X-Forwarded-For: 7.7.7.7\r\n\r\n`);
    await client.until("ok");
    expect(app.visits[0]!.got.split("\r\n").slice(1).filter(Boolean).toSorted()).toEqual([
      "Host: inner",
      "X-Forwarded-For: 6.6.6.6, 7.7.7.7, 127.0.0.1",
      "X-Forwarded-Host: evil",
      "X-Forwarded-Port: 1",
      "X-Forwarded-Proto: https",
      "X-Real-IP: 7.7.7.7",
    ]);
    client.close();
  });

  test.each([
    ["127.0.0.0/8", "9.9.9.9", "9.9.9.9, 127.0.0.1"],
    ["128.0.0.0/1", "9.9.9.9", "127.0.0.1"],
    ["2400:cb00::/32", "9.9.9.9", "127.0.0.1"],
  ])("with the network %s in trustedProxies the app is told %s as %s", async (network, said, told) => {
    const { app, port } = await answering(OK, { trustedProxies: ["192.0.2.9", network] });
    const client = await rawClient(port);
    client.write(`GET / HTTP/1.1\r\nHost: inner\r\nX-Forwarded-For: ${said}\r\n\r\n`);
    await client.until("ok");
    expect(app.visits[0]!.got).toContain(`X-Forwarded-For: ${told}\r\n`);
    client.close();
  });

  test("a proxy that is named no more is not believed, on the connections that it has", async () => {
    const { app, port } = await answering(OK, { trustedProxies: ["127.0.0.1"] });
    const client = await rawClient(port);
    const ask = `GET / HTTP/1.1\r\nHost: inner\r\nX-Forwarded-For: 7.7.7.7\r\n\r\n`;
    client.write(ask);
    await client.until("ok");
    const { routes } = await relay.front.status();
    const route = routes.find(({ listen }) => listen.port === port)!;
    const { listen, protocol } = route;
    await relay.front.set({ app: route.app, listen, protocol, trustedProxies: [] });
    client.write(ask);
    await client.until((text) => text.split("HTTP/1.1 200").length === 3);
    const got = app.visits.map((visit) => visit.got).join("");
    expect([...got.matchAll(/^X-Forwarded-For: .*/gm)].map(([line]) => line.trim())).toEqual([
      "X-Forwarded-For: 7.7.7.7, 127.0.0.1",
      "X-Forwarded-For: 127.0.0.1",
    ]);
    client.close();
  });

  test("hop-by-hop fields stay on their hop, and h2c does not pass", async () => {
    const { app, port } = await answering(OK);
    const client = await rawClient(port);
    client.write(
      "GET / HTTP/1.1\r\nHost: web\r\nConnection: Upgrade, HTTP2-Settings, keep-alive\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nKeep-Alive: 5\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\n\r\n",
    );
    await client.until("ok");
    expect(app.visits[0]!.got).not.toMatch(/^(connection|upgrade|http2-settings|keep-alive|proxy-connection|te):/im);
    client.close();
  });
});

describe("apps that fail", () => {
  test("an app without a release is 503, and says so", async () => {
    const port = await relay.add("empty", null);
    const { text, ending } = await raw(port, GET);
    expect(text).toMatch(
      /^HTTP\/1.1 503 [^]*Connection: close[^]*\r\n\r\n503 Service Unavailable\nempty: it has no release/,
    );
    expect(ending).toBe("eof");
  });

  test("a refused connection is tried again until the app is up", async () => {
    const { port: free, stop } = scripted(() => undefined);
    stop();
    const port = await relay.add("late", free);
    const asked = raw(port, "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc");
    await until("the request", async () => (await statusOf("late")).requests === 1);
    scripts.push(scripted((visit) => visit.got.endsWith("abc") && visit.write(OK), free));
    expect((await asked).text).toEndWith("ok");
    expect((await statusOf("late")).failed).toBe(0);
  });

  test("a connection for which there is no descriptor is tried again, and the relay goes on meanwhile", async () => {
    const { app, name, port } = await behind((visit) => {
      if (visit.got.includes("/second") && visit.got.endsWith("\r\n\r\n")) visit.write(OK);
    });
    const [first, second] = [await rawClient(port), await rawClient(port)];
    first.write("GET /first HTTP/1.1\r\nHost: web\r\n\r\n");
    await until("both", async () => app.visits.length === 1 && (await statusOf(name)).connections === 2);
    const { pid } = await relay.front.status();
    const limit = (files: string) =>
      expect(Bun.spawnSync(["prlimit", "--pid", String(pid), `--nofile=${files}`]).exitCode).toBe(0);
    const before = /^Max open files +(\d+) +(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, "utf8"))!;
    limit("8:");
    try {
      second.write("GET /second HTTP/1.1\r\nHost: web\r\n\r\n");
      app.visits[0]!.write(OK);
      await first.until("ok");
    } finally {
      limit(`${before[1]}:`);
    }
    await second.until("HTTP/1.1 ");
    expect(second.text()).toStartWith("HTTP/1.1 200");
    for (const client of [first, second]) client.close();
  });

  test("nobody on the port for 5 s is 503", async () => {
    const { port: free, stop } = scripted(() => undefined);
    stop();
    const begun = performance.now();
    const { text } = await raw(await relay.add("gone", free), GET);
    expect(text).toMatch(/^HTTP\/1.1 503 [^]*gone: nothing listens on its port/);
    expect(performance.now() - begun).toBeGreaterThan(4_900);
  });

  test.each(["GET", "HEAD", "PUT", "DELETE"])(
    "%s on a connection that just went stale is sent once more",
    async (method) => {
      const { app, port } = await behind((visit, visits) => {
        if (visits === 1 && visit.got.includes("GET /first") && !visit.got.includes("second")) visit.write(OK);
        else if (visits === 1) visit.reset();
        else visit.write(method === "HEAD" ? "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" : OK);
      });
      const client = await rawClient(port);
      client.write("GET /first HTTP/1.1\r\nHost: web\r\n\r\n");
      await client.until("ok");
      client.write(`${method} /second HTTP/1.1\r\nHost: web\r\nContent-Length: 4\r\n\r\nbody`);
      await client.until((text) => text.split("HTTP/1.1 200").length === 3);
      expect(app.visits[1]!.got).toMatch(new RegExp(`^${method} /second [^]*\r\n\r\nbody$`));
      client.close();
    },
  );

  test.each(["POST", "PATCH"])("%s on a connection that just went stale is never sent twice", async (method) => {
    const { app, name, port } = await behind((visit) => {
      if (visit.got.includes("/second")) visit.reset();
      else visit.write(OK);
    });
    const client = await rawClient(port);
    client.write(GET);
    await client.until("ok");
    client.write(`${method} /second HTTP/1.1\r\nHost: web\r\nContent-Length: 4\r\n\r\nbody`);
    expect((await client.until(() => false)).text).toMatch(/HTTP\/1.1 502 [^]*without an answer/);
    expect(app.visits.length).toBe(1);
    expect((await statusOf(name)).failed).toBe(1);
    client.close();
  });

  test("a GET that died on a fresh connection is not sent twice", async () => {
    const { app, port } = await behind((visit) => visit.reset());
    expect((await raw(port, GET)).text).toMatch(/^HTTP\/1.1 502 /);
    expect(app.visits.length).toBe(1);
  });

  test.each([
    ["by FIN, with a length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "end"],
    ["by FIN, in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "end"],
    ["by RST, with a length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "reset"],
    ["by RST, with no length at all", "HTTP/1.1 200 OK\r\n\r\nhalf", "reset"],
    ["by a chunk that is none", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "xyz\r\n"],
  ] as const)("an answer that is cut in the middle (%s) resets the client", async (_name, answer, how) => {
    const { app, name, port } = await behind((visit) => visit.write(answer));
    const client = await rawClient(port);
    client.write(GET);
    await client.until("half");
    if (how === "end") app.visits[0]!.end();
    else if (how === "reset") app.visits[0]!.reset();
    else app.visits[0]!.write(how);
    expect((await client.until(() => false)).ending).toBe("reset");
    expect((await statusOf(name)).failed).toBe(1);
  });

  test.each([
    ["not HTTP", "SSH-2.0-OpenSSH\r\n\r\n"],
    ["both lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"],
    ["another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"],
    ["a line without CR", "HTTP/1.1 200 OK\r\nA: b\nContent-Length: 2\r\n\r\nok"],
    ["101 unasked", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n"],
    ["in chunks, one of them none", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nxyz\r\n"],
    ["a huge head", `HTTP/1.1 200 OK\r\nA: ${"a".repeat(40_000)}\r\n\r\n`],
  ])("an answer that is %s is 502", async (_name, answer) => {
    const { name, port } = await behind((visit) => visit.write(answer));
    expect((await raw(port, GET)).text).toMatch(new RegExp(`^HTTP/1.1 502 [^]*\n${name}: it `));
  });
});
