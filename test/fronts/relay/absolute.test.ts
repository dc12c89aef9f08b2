// Requests for a URL: the app gets the URL's path, and the URL's host as its Host, whatever Host the client sent.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Scripted, scripted } from "./support/apps.ts";
import { type TestRelay, raw, rawClient, startRelay } from "./support/relay.ts";

let relay: TestRelay;
let app: Scripted;
let port: number;
beforeAll(async () => {
  relay = await startRelay();
  app = scripted((visit) => {
    // Says what it got, one answer a request.
    for (let end = visit.got.indexOf("\r\n\r\n"); end !== -1; end = visit.got.indexOf("\r\n\r\n")) {
      const head = visit.got.slice(0, end);
      const size = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
      if (visit.got.length < end + 4 + size) return;
      const text = visit.got.slice(0, end + 4 + size);
      visit.got = visit.got.slice(end + 4 + size);
      visit.write(`HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`);
    }
  });
  port = await relay.add("web", app.port);
});
afterAll(async () => {
  app?.stop();
  await relay?.stop();
});

const forwarded = (host: string) =>
  `X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Real-IP: 127.0.0.1\r\nX-Forwarded-Host: ${host}\r\n\r\n`;

test.each([
  ["http://example.test/", "/", "example.test"],
  ["http://example.test:8080/a/b?c=d", "/a/b?c=d", "example.test:8080"],
  ["HTTPS://example.test/a", "/a", "example.test"],
  ["http://example.test", "/", "example.test"],
  ["http://example.test?a=http://other/", "/?a=http://other/", "example.test"],
  ["http://[::1]:80//a", "//a", "[::1]:80"],
])("%s", async (target, path, host) => {
  const { text } = await raw(port, `GET ${target} HTTP/1.1\r\nA: b\r\nhost: other\r\nConnection: close\r\n\r\n`);
  expect(text).toStartWith("HTTP/1.1 200 OK");
  expect(text).toEndWith(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nA: b\r\n${forwarded(host)}`);
});

test("OPTIONS of a server asks for *", async () => {
  const { text } = await raw(
    port,
    "OPTIONS http://example.test HTTP/1.1\r\nHost: example.test\r\nConnection: close\r\n\r\n",
  );
  expect(text).toContain("\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: example.test\r\n");
});

test("HTTP/1.0 without a Host gets one", async () => {
  const { text } = await raw(port, "GET http://example.test/a HTTP/1.0\r\n\r\n");
  expect(text).toContain("\r\n\r\nGET /a HTTP/1.0\r\nHost: example.test\r\n");
});

test("a body, and requests that were sent ahead, follow as they are", async () => {
  const client = await rawClient(port);
  client.write(
    "\r\nPOST http://one.test/a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" +
      "GET /b HTTP/1.1\r\nHost: two.test\r\n\r\nGET http://three.test/c HTTP/1.1\r\nHost: x\r\n\r\n",
  );
  const { text } = await client.until(/three\.test\r\n\r\n$/);
  expect(text.match(/^(GET|POST) .*|^Host: .*|hello/gm)).toEqual([
    "POST /a HTTP/1.1",
    "Host: one.test",
    "hello",
    "GET /b HTTP/1.1",
    "Host: two.test",
    "GET /c HTTP/1.1",
    "Host: three.test",
  ]);
  client.close();
});
