// An app in maintenance: clients get a page, dp's own requests and what is under way go on.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { DpError } from "../../../lib/errors.ts";
import type { Maintenance } from "../../../lib/contracts/front.ts";
import { type TestApp, scripted, startApp } from "./support/apps.ts";
import { raw, rawClient, startRelay, until, type TestRelay } from "./support/relay.ts";
import { ask, makeAuthority, secured, type Authority } from "./support/tls.ts";

const WORD = "a".repeat(64);
const PASS = createHash("sha256").update(WORD).digest("hex");
const SINCE = "2026-03-01T12:00:00.000Z";

let authority: Authority;
let relay: TestRelay;
let shop: TestApp;

beforeAll(async () => {
  authority = await makeAuthority();
  authority.put("shop.test");
  shop = await startApp("bun", "shop");
  relay = await startRelay();
});
afterEach(() => relay.front.remove("shop"));
afterAll(async () => {
  await relay?.stop();
  await shop?.stop();
  authority?.end();
});

const close = (more: Partial<Maintenance> = {}) => relay.front.maintain("shop", { since: SINCE, ...more }, PASS);
const open = () => relay.front.maintain("shop", null, PASS);
const get = (port: number, path = "/", lines = "", method = "GET") =>
  raw(port, `${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${lines}\r\n`);

describe("maintenance", () => {
  test("clients get dp's page with 503, and after it the app again", async () => {
    const port = await relay.add("shop", shop.port);
    await close();
    const { text, ending } = await get(port);
    expect(text).toStartWith("HTTP/1.1 503 Service Unavailable\r\n");
    for (const line of ["Retry-After: 120", "Cache-Control: no-store", "Content-Type: text/html; charset=utf-8"])
      expect(text).toContain(`\r\n${line}\r\n`);
    expect(text).toContain("We will be back soon");
    expect(ending).toBe("eof");
    const [, length, body] = /Content-Length: (\d+)\r\n[\s\S]*?\r\n\r\n([\s\S]*)$/.exec(text)!;
    expect(body!.length).toBe(Number(length));
    await open();
    expect((await get(port)).text).toEndWith("\r\n\r\nshop");
  });

  test("the app's own page is sent as it is, and HEAD gets its head alone", async () => {
    const port = await relay.add("shop", shop.port);
    await close({ page: "<h1>Geschlossen für heute</h1>\n" });
    const { text } = await get(port, "/any?thing", "", "POST");
    expect(Buffer.from(text, "latin1").toString()).toEndWith("\r\n\r\n<h1>Geschlossen für heute</h1>\n");
    const head = (await get(port, "/", "", "HEAD")).text;
    expect(head).toContain(`Content-Length: ${Buffer.byteLength("<h1>Geschlossen für heute</h1>\n")}\r\n`);
    expect(head).toEndWith("\r\n\r\n");
    const { routes } = await relay.front.status("shop");
    expect(routes[0]!.maintenance).toEqual({ since: SINCE });
    expect(routes[0]!.failed).toBe(0);
  });

  test("dp's word passes and never reaches the app; another word does not pass", async () => {
    const app = scripted((visit) => visit.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    try {
      const port = await relay.add("shop", app.port);
      await close();
      expect((await get(port, "/health", `X-Dp-Check: ${WORD}\r\n`)).text).toEndWith("\r\n\r\nok");
      for (const line of ["X-Dp-Check: \r\n", "X-Dp-Check: b\r\n", `X-Dp-Check: ${PASS}\r\n`])
        expect([line, (await get(port, "/", line)).text.slice(9, 12)]).toEqual([line, "503"]);
      await open();
      expect((await get(port, "/", `x-dp-check: ${WORD}\r\n`)).text).toEndWith("\r\n\r\nok");
      expect(app.visits.map(({ got }) => got).join("")).not.toMatch(/dp.check/i);
      expect(app.came).toHaveLength(2);
    } finally {
      app.stop();
    }
  });

  test("over https too, with the app's HSTS; a challenge of the CA is answered, and http still redirects", async () => {
    await relay.front.secure(authority.edge);
    await relay.add("shop", shop.port, { domains: [{ name: "shop.test" }], tls: { http: "redirect", hsts: 60 } });
    authority.challenge("token", "token.thumb");
    await close();
    const got = await ask(authority, "https://shop.test/");
    expect(got.status).toBe(503);
    expect(got.head).toContain("Strict-Transport-Security: max-age=60");
    expect((await ask(authority, "http://shop.test/.well-known/acme-challenge/token")).body).toBe("token.thumb");
    expect((await ask(authority, "http://shop.test/a")).status).toBe(308);
    expect((await ask(authority, "https://shop.test/", "-H", "Host: evil.test")).status).toBe(421);
    await open();
    expect((await ask(authority, "https://shop.test/")).body).toBe("shop");
  });

  test("streams and WebSockets that are open go on, and a request under way is answered", async () => {
    await relay.front.secure(authority.edge);
    const port = await relay.add("shop", shop.port, { domains: [{ name: "shop.test" }] });
    const stream = await secured(authority, "shop.test");
    let text = "";
    stream.on("data", (chunk: Buffer) => void (text += chunk.toString("latin1")));
    stream.write("GET /events HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`);
    const replies: unknown[] = [];
    socket.onmessage = ({ data }) => void replies.push(data);
    await until("both are open", () => socket.readyState === WebSocket.OPEN && text.includes("data: shop"));
    const slow = get(port, "/slow");
    await until(
      "it is under way",
      async () => (await relay.front.status("shop")).routes[0]!.inFlight["1-aaaaaaa"]!.requests > 1,
    );
    await close();
    const seen = text.length;
    socket.send("still there?");
    await until("the WebSocket answers", () => replies.includes("still there?"));
    await until("the stream goes on", () => text.length > seen + 100);
    expect((await slow).text).toEndWith("\r\n\r\nshop");
    expect((await get(port)).text).toStartWith("HTTP/1.1 503");
    stream.destroy();
    socket.close();
  });

  test("it outlives a kill and a change of the route, and is no state of another app", async () => {
    const port = await relay.add("shop", shop.port);
    const other = await relay.add("other", shop.port);
    await close({ page: "own" });
    await relay.kill("SIGKILL");
    await relay.start();
    expect((await get(port)).text).toEndWith("\r\n\r\nown");
    const listen = { host: "127.0.0.1", port };
    await relay.front.set({ app: "shop", listen, protocol: "http", trustedProxies: ["192.0.2.1"] });
    await relay.front.point("shop", { id: "2-bbbbbbb", port: shop.port });
    expect((await get(port)).text).toEndWith("\r\n\r\nown");
    expect((await get(other)).text).toEndWith("\r\n\r\nshop");
    await open();
    await relay.front.set({ app: "shop", listen, protocol: "http", trustedProxies: [], maintenance: { since: SINCE } });
    expect((await get(port)).text).toEndWith("\r\n\r\nshop");
    await relay.front.remove("other");
  });

  test("a relay that does not know the app takes over what its route says", async () => {
    const port = await relay.add("shop", shop.port, { maintenance: { since: SINCE, page: "new" } });
    expect((await get(port)).text).toEndWith("\r\n\r\nnew");
    await relay.front.remove("shop");
    const error = await close().catch((thrown: unknown) => thrown as DpError);
    expect([error?.exit, error?.message]).toEqual(["host", "the relay has no app shop"]);
  });

  test("switching it on and off under load breaks no request", async () => {
    const port = await relay.add("shop", shop.port);
    const seen = new Map<string, number>();
    let isOver = false;
    const client = async () => {
      while (!isOver) {
        const answer = await fetch(`http://127.0.0.1:${port}/echo`, { method: "POST", body: "x".repeat(5000) }).then(
          async (response) => `${response.status} ${(await response.text()).length}`,
          (error: Error) => error.message,
        );
        seen.set(answer, (seen.get(answer) ?? 0) + 1);
      }
    };
    const clients = Array.from({ length: 8 }, client);
    for (let round = 0; round < 20; round++) {
      const before = seen.get("503 4") ?? 0;
      await close({ page: "page" });
      await until("the page was seen", () => (seen.get("503 4") ?? 0) > before);
      const good = seen.get("200 5000") ?? 0;
      await open();
      await until("the app was seen", () => (seen.get("200 5000") ?? 0) > good);
    }
    isOver = true;
    await Promise.all(clients);
    expect([...seen.keys()].sort()).toEqual(["200 5000", "503 4"]);
  });

  test("a pipelined request and one on a kept connection get the page, each after a whole answer", async () => {
    const port = await relay.add("shop", shop.port);
    const client = await rawClient(port);
    client.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await client.until("\r\n\r\nshop");
    await close({ page: "page" });
    client.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2));
    const { text, ending } = await client.until(() => false);
    expect([text.split("HTTP/1.1 503").length, ending]).toEqual([2, "eof"]);
    expect(text).toEndWith("\r\n\r\npage");
    client.close();
  });
});
