// Answers of apps that are unusual, and sound by RFC 9112: they are passed on without what nobody needs. What is not sound
// is 502 with a line in the log, or a cut with one when the answer had begun.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Scripted, scripted } from "./support/apps.ts";
import { type TestRelay, raw, rawClient, startRelay, until } from "./support/relay.ts";

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

/** An app that sends these pieces, each by itself, to the first request on a connection. */
async function behind(pieces: readonly string[]): Promise<{ name: string; port: number; app: Scripted }> {
  const app = scripted((visit) => {
    if (!visit.got.endsWith("\r\n\r\n")) return;
    for (const piece of pieces) visit.write(piece);
  });
  apps.push(app);
  const name = `app${++count}`;
  return { name, app, port: await relay.add(name, app.port) };
}

const GET = "GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n";
const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

const bodyOf = (text: string) => text.slice(text.indexOf("\r\n\r\n") + 4);

// The body as the app sends it, and as the client gets it.
const SOUND = [
  ["an extension", "5;a=b\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"],
  ["an extension in quotes", '5;a="b;c d"\r\nhello\r\n0\r\n\r\n', "5\r\nhello\r\n0\r\n\r\n"],
  ["two extensions with space around", "5 ; a = b\t; c\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"],
  ["an extension of the last chunk", "5\r\nhello\r\n0;a\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"],
  ["padded sizes, as old servers send them", "5   \r\nhello\r\n0   \r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"],
  ["a trailer", "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"],
  ["a trailer with a length", "5\r\nhello\r\n0\r\nContent-Length: 0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"],
  [
    "a trailer of which a part may not be",
    "5\r\nhello\r\n0\r\nA: b\r\nTransfer-Encoding: x\r\nC: d\r\n\r\n",
    "5\r\nhello\r\n0\r\nA: b\r\nC: d\r\n\r\n",
  ],
] as const;

describe.each(SOUND)("%s", (_name, sent, passed) => {
  test("goes through", async () => {
    const { port } = await behind([CHUNKED + sent]);
    const { text } = await raw(port, GET);
    expect(text).toStartWith("HTTP/1.1 200 OK\r\n");
    expect(bodyOf(text)).toBe(passed);
  });

  test("goes through wherever it is cut in two", async () => {
    // Written one after the other, so that the app's system may send them so; the reading itself is cut by the unit test.
    for (let at = 1; at < sent.length; at++) {
      const { port, app } = await behind([CHUNKED]);
      const client = await rawClient(port);
      client.write(GET);
      await client.until("\r\n\r\n");
      app.visits[0]!.write(sent.slice(0, at));
      await until("it was read", async () => (await relay.front.status()).routes.length > 0);
      app.visits[0]!.write(sent.slice(at));
      const { text } = await client.until(() => false);
      expect(bodyOf(text)).toBe(passed);
      client.close();
      app.stop();
    }
  });

  test("is data without chunks for a client of HTTP/1.0", async () => {
    const { port } = await behind([CHUNKED + sent]);
    const { text } = await raw(port, "GET / HTTP/1.0\r\n\r\n");
    expect(bodyOf(text)).toBe("hello");
  });

  test("leaves the connection good for another request", async () => {
    const { port } = await behind([CHUNKED + sent]);
    const client = await rawClient(port);
    for (let times = 1; times <= 2; times++) {
      client.write("GET / HTTP/1.1\r\nHost: web\r\n\r\n");
      await client.until((text) => text.split("hello").length > times && text.endsWith(passed));
    }
    expect(client.ending()).toBe("open");
    client.close();
  });
});

test.each([
  ["a length", "Content-Length: 2 \t\r\n", "ok"],
  ["a length after a tab", "Content-Length:\t2\r\n", "ok"],
  ["a coding", "Transfer-Encoding: chunked \r\n", "2\r\nok\r\n0\r\n\r\n"],
])("space around %s is no reason to refuse an answer", async (_name, field, body) => {
  const { port } = await behind([`HTTP/1.1 200 OK\r\n${field}\r\n${body}`]);
  expect(bodyOf((await raw(port, GET)).text)).toBe(body);
});

test("space before a colon is taken away", async () => {
  const { port } = await behind([
    "HTTP/1.1 200 OK\r\nA \t: b\r\nKeep-Alive : x\r\nContent-Length : 2\r\nC: d : e\r\n\r\nok",
  ]);
  const { text } = await raw(port, GET);
  expect(text).toBe("HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\nC: d : e\r\nConnection: close\r\n\r\nok");
});

test("a client of HTTP/1.0 gets no coding, however it is spaced", async () => {
  const { port } = await behind(["HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\nA: b\r\n\r\n2\r\nok\r\n0\r\n\r\n"]);
  expect((await raw(port, "GET / HTTP/1.0\r\n\r\n")).text).toBe(
    "HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n\r\nok",
  );
});

const UNSOUND = [
  ["a size that is none", "x\r\nhello\r\n0\r\n\r\n"],
  ["a size with a minus", "-5\r\nhello\r\n0\r\n\r\n"],
  ["a word behind a size", "5 a\r\nhello\r\n0\r\n\r\n"],
  ["an extension with LF", "5;a\nhello\r\n0\r\n\r\n"],
  ["an extension with NUL", "5;\0\r\nhello\r\n0\r\n\r\n"],
  ["an extension of 2 KiB", `5;${"a".repeat(2048)}\r\nhello\r\n0\r\n\r\n`],
  ["space before a size", " 5\r\nhello\r\n0\r\n\r\n"],
  ["a chunk that is longer than it says", "4\r\nhello\r\n0\r\n\r\n"],
  ["a trailer that is none", "5\r\nhello\r\n0\r\nnothing\r\n\r\n"],
  ["a trailer of more than 8 KiB", `5\r\nhello\r\n0\r\nA: ${"a".repeat(9_000)}\r\n\r\n`],
] as const;

test.each(UNSOUND)("%s is 502, and stands in the log", async (_name, body) => {
  const { name, port } = await behind([CHUNKED + body]);
  expect((await raw(port, GET)).text).toMatch(new RegExp(`^HTTP/1.1 502 [^]*\n${name}: it sent a malformed body`));
  expect(relay.log()).toContain(`${name}@1-aaaaaaa: it sent a malformed body`);
});

describe("what the log has of answers", () => {
  let other: TestRelay;
  beforeAll(async () => {
    other = await startRelay();
  });
  afterAll(() => other?.stop());

  test.each([
    ["a bad head", ["HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"], /it sent a malformed answer: .*; answered 502/],
    ["no answer", ["FIN"], /it closed the connection without an answer; answered 502/],
    [
      "a bad chunk after the start",
      [`${CHUNKED}5\r\nhello\r\n`, "x\r\n"],
      /it sent a malformed body: .*; the client was cut off/,
    ],
    [
      "half an answer",
      ["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", "FIN"],
      /it closed the connection before its answer was whole; the client was cut off/,
    ],
  ])("%s", async (_name, pieces, expected) => {
    const app = scripted(() => undefined);
    apps.push(app);
    const name = `app${++count}`;
    const client = await rawClient(await other.add(name, app.port));
    client.write(GET);
    await until("the request", () => app.visits[0]?.got.endsWith("\r\n\r\n") ?? false);
    for (const piece of pieces) {
      if (piece === "FIN") app.visits[0]!.end();
      else app.visits[0]!.write(piece);
      if (piece.includes("hello")) await client.until("hello");
    }
    await client.until(() => false);
    const line = other
      .log()
      .split("\n")
      .find((each) => each.startsWith(`${name}@1-aaaaaaa: `));
    expect(line).toMatch(expected);
    client.close();
  });
});
