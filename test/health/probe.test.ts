// One question to a health check: every kind of answer, and none that hangs, redirects or goes through a proxy.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { probe } from "../../lib/health/probe.ts";
import { freePort } from "../support/core-server.ts";
import type { HealthCheck } from "../../lib/config/types.ts";

const servers: Server[] = [];
const timers = new Set<Timer>();
afterAll(() => {
  for (const timer of timers) clearInterval(timer);
  for (const server of servers) server.close();
});

/** A server that lets `answer` write to each connection once it has been asked; `asked` are the requests. */
async function serve(answer: (socket: Socket) => void): Promise<{ port: number; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", (data) => {
      asked.push(data.toString());
      answer(socket);
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as AddressInfo).port, asked };
}

const head = (status: string, ...lines: string[]) =>
  `HTTP/1.1 ${status}\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`;
const text =
  (status: string, ...lines: string[]) =>
  (socket: Socket) =>
    socket.end(`${head(status, "Content-Length: 2", ...lines)}ok`);
/** Writes for ever, until the other side has enough. */
const drip = (before: string, piece: string, ms: number) => (socket: Socket) => {
  socket.write(before);
  const timer = setInterval(() => (socket.destroyed ? clearInterval(timer) : void socket.write(piece)), ms);
  timers.add(timer);
};

const check = (more: Partial<HealthCheck> = {}): HealthCheck => ({
  path: "/health",
  timeout: 400,
  interval: 100,
  startTimeout: 1_000,
  ...more,
});

describe("an answer", () => {
  test.each<[string, (socket: Socket) => void, Partial<HealthCheck>, boolean, string]>([
    ["200", text("200 OK"), {}, true, "200"],
    ["204 without body", (socket) => socket.end(head("204 No Content")), {}, true, "204"],
    ["299", text("299 Fine"), {}, true, "299"],
    ["without length, ended by the close", (socket) => socket.end(`${head("200 OK")}body`), {}, true, "200"],
    [
      "in chunks",
      (socket) => socket.end(`${head("200 OK", "Transfer-Encoding: chunked")}2\r\nok\r\n0\r\n\r\n`),
      {},
      true,
      "200",
    ],
    ["404", text("404 Not Found"), {}, false, "404"],
    ["500", text("500 Oh"), {}, false, "500"],
    ["503 that is asked for", text("503 Busy"), { status: [200, 503] }, true, "503"],
    ["200 that is not asked for", text("200 OK"), { status: [204] }, false, "200"],
    ["a redirect", text("302 Found", "Location: /login"), {}, false, "302 → /login"],
    [
      "a redirect to elsewhere",
      text("301 Moved", "Location: http://203.0.113.5/x"),
      {},
      false,
      "301 → http://203.0.113.5/x",
    ],
    ["a redirect that is asked for", text("302 Found", "Location: /login"), { status: [302] }, true, "302 → /login"],
    ["an endless body", drip(head("200 OK"), "x".repeat(65_536), 1), { timeout: 20_000 }, true, "200"],
    [
      "an endless body in chunks, beside a length",
      drip(head("200 OK", "Content-Length: 2", "Transfer-Encoding: chunked"), `10000\r\n${"x".repeat(65_536)}\r\n`, 1),
      { timeout: 20_000 },
      true,
      "200",
    ],
    [
      "a length that is longer than what is read of it",
      drip(head("200 OK", "Content-Length: 1000000000"), "x".repeat(65_536), 1),
      { timeout: 20_000 },
      true,
      "200",
    ],
    ["dripping headers", drip("HTTP/1.1 200 OK\r\n", "X-More: 1\r\n", 30), {}, false, "no complete answer in 400 ms"],
    [
      "a dripping body",
      drip(head("200 OK", "Content-Length: 100000"), "x", 30),
      {},
      false,
      "no complete answer in 400 ms",
    ],
    ["silence", () => undefined, {}, false, "no complete answer in 400 ms"],
    ["a reset", (socket) => socket.resetAndDestroy(), {}, false, "connection reset"],
    // No words of Bun's.
    [
      "a length that is none",
      (socket) => socket.end(head("200 OK", "Content-Length: x")),
      {},
      false,
      "no sound HTTP answer (InvalidContentLength)",
    ],
    [
      "a chunk that is none",
      (socket) => socket.end(`${head("200 OK", "Transfer-Encoding: chunked")}zz\r\n`),
      {},
      false,
      "no sound HTTP answer (InvalidHTTPResponse)",
    ],
  ])("%s", async (_, answer, more, isHealthy, words) => {
    const { port } = await serve(answer);
    const answered = await probe(check(more), port);
    expect(answered).toMatchObject({ isHealthy, text: words });
  });

  test.each<[string, (socket: Socket) => void]>([
    ["that is closed before it begins", (socket) => socket.end()],
    ["that is no HTTP", (socket) => socket.end("SSH-2.0-OpenSSH_9.2\r\n")],
    ["whose body is cut off", (socket) => socket.end(`${head("200 OK", "Content-Length: 100")}half`)],
    ["whose chunks are cut off", (socket) => socket.end(`${head("200 OK", "Transfer-Encoding: chunked")}64\r\nhalf`)],
    [
      "whose connection is reset in the body",
      (socket) => {
        socket.write(`${head("200 OK", "Content-Length: 100")}half`, () => socket.resetAndDestroy());
      },
    ],
  ])("%s is none", async (_, answer) => {
    const { port } = await serve(answer);
    const answered = await probe(check({ timeout: 2_000 }), port);
    expect(answered.isHealthy).toBe(false);
    expect(answered.text).not.toBe("");
  });
});

test("nothing listens: connection refused", async () => {
  expect(await probe(check(), await freePort())).toEqual({
    isHealthy: false,
    status: null,
    text: "connection refused",
    isRefused: true,
  });
});

describe("the question", () => {
  test("names path, host, itself, and wants no second one", async () => {
    const { port, asked } = await serve(text("200 OK"));
    await probe(check({ path: "/health?deep=1" }), port);
    await probe(check({ host: "shop.example" }), port);
    expect(asked[0]).toStartWith("GET /health?deep=1 HTTP/1.1\r\n");
    expect(asked[0]).toMatch(new RegExp(`^host: 127\\.0\\.0\\.1:${port}\\r$`, "im"));
    expect(asked[0]).toMatch(/^user-agent: dp-health-check\r$/im);
    expect(asked[0]).toMatch(/^connection: close\r$/im);
    expect(asked[1]).toMatch(/^host: shop\.example\r$/im);
  });

  test("carries the headers of deploy.yml, and says https where a domain is asked for", async () => {
    const { port, asked } = await serve(text("200 OK"));
    await probe(check({ headers: { "X-Key": "a b" } }), port);
    await probe(check({ host: "shop.example" }), port);
    await probe(check({ host: "shop.example", headers: { "x-forwarded-proto": "http" } }), port);
    await probe(check({ host: "203.0.113.5" }), port);
    expect(asked[0]).toMatch(/^x-key: a b\r$/im);
    expect(asked.map((request) => /^x-forwarded-proto: (.*)\r$/im.exec(request)?.[1])).toEqual([
      undefined,
      "https",
      "http",
      undefined,
    ]);
  });

  test.each([
    ["text/plain", "\n  Not here \nmore", "Not here"],
    ["text/html", "<html><head><title>x</title></head><body><h1>Bad Request (400)</h1></body>", "Bad Request (400)"],
    ["application/json", '{"detail": "Not Found"}', '{"detail": "Not Found"}'],
    ["text/plain", "a\x1b[31mb\u202ec", "abc"],
    ["image/png", "PNG", ""],
    ["text/plain", "", ""],
  ])("of %s %j the first line is told", async (type, body, line) => {
    const bytes = Buffer.from(body);
    const { port } = await serve((socket) => {
      socket.write(head("404 No", `Content-Type: ${type}`, `Content-Length: ${bytes.length}`));
      socket.end(bytes);
    });
    expect((await probe(check(), port)).firstLine).toBe(line);
  });

  describe("does not go through a proxy", () => {
    const names = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
    const before = names.map((name) => process.env[name]);
    let proxy: Awaited<ReturnType<typeof serve>>;
    beforeAll(async () => {
      proxy = await serve(text("500 Proxy"));
      for (const name of names) process.env[name] = `http://127.0.0.1:${proxy.port}`;
    });
    afterAll(() => {
      for (const [index, name] of names.entries()) {
        if (before[index] === undefined) delete process.env[name];
        else process.env[name] = before[index];
      }
    });

    test("that the environment names", async () => {
      const { port, asked } = await serve(text("200 OK"));
      expect(await probe(check(), port)).toMatchObject({ isHealthy: true });
      expect([asked.length, proxy.asked.length]).toEqual([1, 0]);
    });
  });
});
