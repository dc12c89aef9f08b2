// What stands before an app: allowed addresses and passwords. What does not pass never reaches the app.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import type { RouteChange } from "../../../lib/contracts/front.ts";
import { type Scripted, type TestApp, scripted, startApp } from "./support/apps.ts";
import { raw, rawClient, startRelay, until, type TestRelay } from "./support/relay.ts";
import { ask, makeAuthority, secured, type Authority } from "./support/tls.ts";

const WORD = "b".repeat(64);
const PASS = createHash("sha256").update(WORD).digest("hex");
const OPEN = "pässword: 1";

let authority: Authority;
let relay: TestRelay;
let shop: TestApp;
let seen: Scripted;
/** The lowest cost: the tests are about the relay, not about bcrypt. */
let hash: string;

beforeAll(async () => {
  authority = await makeAuthority();
  authority.put("shop.test");
  hash = await Bun.password.hash(OPEN, { algorithm: "bcrypt", cost: 4 });
  shop = await startApp("bun", "shop");
  seen = scripted((visit) => visit.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  relay = await startRelay();
});
afterEach(() => relay.front.remove("shop"));
afterAll(async () => {
  await relay?.stop();
  await shop?.stop();
  seen?.stop();
  authority?.end();
});

const basic = (user: string, password: string) =>
  `Authorization: Basic ${Buffer.from(`${user}:${password}`).toString("base64")}\r\n`;
const get = (port: number, lines = "", path = "/", method = "GET", body = "") =>
  raw(port, `${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${lines}\r\n${body}`);
const statusOf = async (...words: Parameters<typeof get>) => (await get(...words)).text.slice(9, 12);
const visits = () => seen.came.join("");

describe("allow", () => {
  const add = (more: Partial<RouteChange>) => relay.add("shop", seen.port, more);

  test("clients of other networks get 403, and dp's word passes", async () => {
    const before = visits();
    const port = await add({ allow: ["203.0.113.0/24", "::1"], pass: PASS });
    const { text, ending } = await get(port);
    expect(text).toStartWith("HTTP/1.1 403 Forbidden\r\n");
    expect([text.includes("this address is not allowed"), ending]).toEqual([true, "eof"]);
    expect(await statusOf(port, "X-Forwarded-For: 203.0.113.7\r\nX-Real-IP: 203.0.113.7\r\n")).toBe("403");
    expect(visits()).toBe(before);
    expect(await statusOf(port, `X-Dp-Check: ${WORD}\r\n`)).toBe("200");
    expect(visits()).not.toMatch(/dp-check/i);
  });

  test.each([
    ["127.0.0.0/8", "200"],
    ["127.0.0.1", "200"],
    ["127.0.0.2", "403"],
    ["0.0.0.0/0", "200"],
    ["::/0", "403"],
  ])("of 127.0.0.1, %s: %s", async (network, status) => {
    expect(await statusOf(await add({ allow: [network] }))).toBe(status);
  });

  test("behind a trusted proxy it is the client that the proxy names, and no name of the client's own", async () => {
    const port = await add({ allow: ["203.0.113.0/24", "2001:db8::/32"], trustedProxies: ["127.0.0.1", "192.0.2.9"] });
    const from = (value: string) => statusOf(port, `X-Forwarded-For: ${value}\r\n`);
    expect(await from("203.0.113.7")).toBe("200");
    expect(await from("203.0.113.7:4711")).toBe("200");
    expect(await from("[2001:db8::1]:4711")).toBe("200");
    expect(await from("203.0.113.7, 192.0.2.9")).toBe("200");
    expect(await from("203.0.113.7, 198.51.100.1")).toBe("403");
    expect(await from("unknown")).toBe("403");
    expect(await statusOf(port)).toBe("403");
    expect(await statusOf(port, "X-Real-IP: 203.0.113.7\r\nForwarded: for=203.0.113.7\r\n")).toBe("403");
    expect(await statusOf(port, "X_Forwarded_For: 203.0.113.7\r\n")).toBe("403");
  });

  test("over https and http; redirects and challenges are for everybody", async () => {
    await relay.front.secure(authority.edge);
    authority.challenge("token", "token.thumb");
    await add({ allow: ["192.0.2.1"], domains: [{ name: "shop.test" }], tls: { http: "redirect", hsts: 60 } });
    const refused = await ask(authority, "https://shop.test/");
    expect([refused.status, refused.head.includes("Strict-Transport-Security: max-age=60")]).toEqual([403, true]);
    expect((await ask(authority, "http://shop.test/")).status).toBe(308);
    expect((await ask(authority, "http://shop.test/.well-known/acme-challenge/token")).body).toBe("token.thumb");
    const listen = { host: "127.0.0.1", port: (await relay.front.status("shop")).routes[0]!.listen.port };
    const domains = [{ name: "shop.test" }];
    const base = { app: "shop", listen, protocol: "http" as const, trustedProxies: [], domains };
    await relay.front.set({ ...base, allow: ["192.0.2.1"], tls: { http: "serve", hsts: 0 } });
    expect((await ask(authority, "http://shop.test/")).status).toBe(403);
    await relay.front.set({ ...base, tls: { http: "serve", hsts: 0 } });
    expect((await ask(authority, "http://shop.test/")).body).toBe("ok");
    expect((await ask(authority, "https://shop.test/")).body).toBe("ok");
  });

  test("a WebSocket is refused like any request", async () => {
    const port = await relay.add("shop", shop.port, { allow: ["192.0.2.1"] });
    const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`);
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.onclose = () => resolve();
    await promise;
    await relay.front.remove("shop");
  });
});

describe("basicAuth", () => {
  const users = (more: Record<string, string> = {}) => ({ anna: hash, ...more });
  const add = (more: Partial<RouteChange> = {}, target = seen.port) =>
    relay.add("shop", target, { basicAuth: users(), pass: PASS, ...more });

  test("without a right password clients are asked for one, and the app hears nothing", async () => {
    const before = visits();
    const port = await add();
    const { text } = await get(port);
    expect(text).toStartWith("HTTP/1.1 401 Unauthorized\r\n");
    expect(text).toContain('WWW-Authenticate: Basic realm="shop", charset="UTF-8"\r\n');
    for (const line of [
      basic("anna", "wrong"),
      basic("ben", OPEN),
      basic("", OPEN),
      basic("anna", ""),
      basic("anna", `${OPEN} `),
      "Authorization: Bearer abc\r\n",
      "Authorization: Basic\r\n",
      "Authorization: Basic !!!\r\n",
      `Authorization: Basic ${Buffer.from("no colon").toString("base64")}\r\n`,
      `Authorization: Basic ${"A".repeat(2000)}\r\n`,
      `Proxy-${basic("anna", OPEN)}`,
      `X-Dp-Check: ${PASS}\r\n`,
    ])
      expect([line.slice(0, 60), await statusOf(port, line)]).toEqual([line.slice(0, 60), "401"]);
    expect(await statusOf(port, basic("anna", OPEN) + basic("anna", OPEN))).toBe("400");
    expect(visits()).toBe(before);
  });

  test("a right one passes, and the app does not get it", async () => {
    const port = await add();
    const before = visits().length;
    for (let count = 0; count < 3; count++) expect(await statusOf(port, basic("anna", OPEN))).toBe("200");
    expect(await statusOf(port, basic("anna", OPEN).replace("Authorization: Basic", "AUTHORIZATION:bAsIc "))).toBe(
      "200",
    );
    expect(await statusOf(port, `X-Dp-Check: ${WORD}\r\nAuthorization: Bearer own\r\n`)).toBe("200");
    const got = visits().slice(before);
    expect(got).not.toMatch(/basic/i);
    expect(got.match(/^authorization.*$/gim)).toEqual(["Authorization: Bearer own"]);
  });

  test("without passwords the app gets the header as it came", async () => {
    const before = visits().length;
    const port = await relay.add("shop", seen.port);
    expect(await statusOf(port, basic("app", "own"))).toBe("200");
    expect(visits().slice(before)).toContain(basic("app", "own"));
  });

  test("a body that comes while the password is checked arrives whole", async () => {
    const port = await add({}, shop.port);
    const body = "0123456789".repeat(20_000);
    const { text } = await get(port, `${basic("anna", OPEN)}Content-Length: ${body.length}\r\n`, "/echo", "POST", body);
    expect(text).toEndWith(`\r\n\r\n${body}`);
    const refused = await get(port, `${basic("anna", "x")}Content-Length: ${body.length}\r\n`, "/echo", "POST", body);
    expect([refused.text.slice(9, 12), refused.ending]).toEqual(["401", "eof"]);
  });

  // The request before has left a connection to the app, which a proxy's next client may use.
  test.each(["a wrong", "another right"])("a body after %s password never runs ahead of its head", async (which) => {
    const slow = await Bun.password.hash("other", { algorithm: "bcrypt", cost: 8 });
    const port = await add({ basicAuth: { anna: hash, ben: slow } });
    const before = visits().length;
    const client = await rawClient(port);
    client.write(`GET /first HTTP/1.1\r\nHost: x\r\n${basic("anna", OPEN)}\r\n`);
    await until("the first answer", () => client.text().includes("ok"));
    const inner = "GET /admin HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n";
    const given = basic("ben", which === "a wrong" ? "wrong" : "other");
    client.write(`POST /second HTTP/1.1\r\nHost: x\r\n${given}Content-Length: ${inner.length}\r\n\r\n${inner}`);
    const isRefused = which === "a wrong";
    await until("the second answer", () => client.text().split("HTTP/1.1 ").length === 3);
    expect(client.text().includes("HTTP/1.1 401")).toBe(isRefused);
    const got = visits().slice(before);
    if (isRefused) expect(got).not.toMatch(/admin|second/);
    else expect(got.indexOf("/second")).toBeLessThan(got.indexOf("/admin"));
    client.reset();
  });

  test("many requests at once with one password cost one check", async () => {
    const slow = await Bun.password.hash(OPEN, { algorithm: "bcrypt", cost: 10 });
    const port = await add({ basicAuth: { anna: slow } }, shop.port);
    const answers = await Promise.all(Array.from({ length: 60 }, () => statusOf(port, basic("anna", OPEN))));
    expect(new Set(answers)).toEqual(new Set(["200"]));
  });

  test("clients that leave while their password is checked disturb nobody", async () => {
    const slow = await Bun.password.hash(OPEN, { algorithm: "bcrypt", cost: 10 });
    const port = await add({ basicAuth: { anna: slow } }, shop.port);
    for (let count = 0; count < 3; count++) {
      const client = await rawClient(port);
      client.write(`GET / HTTP/1.1\r\nHost: x\r\n${basic("anna", OPEN)}\r\n`);
      client.reset();
    }
    expect(await statusOf(port, basic("anna", OPEN))).toBe("200");
    await until("all are gone", async () => (await relay.front.status("shop")).routes[0]!.connections === 0);
    expect((await relay.front.status("shop")).routes[0]!.inFlight).toEqual({});
  });

  test("guesses are bounded: too many wrong ones get 429, and who is known goes on", async () => {
    const port = await add({ basicAuth: users() }, shop.port);
    expect(await statusOf(port, basic("anna", OPEN))).toBe("200");
    const guesses = await Promise.all(Array.from({ length: 100 }, (_, at) => get(port, basic("anna", `guess ${at}`))));
    const statuses = guesses.map(({ text }) => text.slice(9, 12));
    expect(statuses.filter((status) => status === "401").length).toBeLessThanOrEqual(11);
    expect(statuses.filter((status) => status === "429").length).toBeGreaterThanOrEqual(89);
    expect(guesses.find(({ text }) => text.startsWith("HTTP/1.1 429"))!.text).toContain("Retry-After: 60\r\n");
    expect(await statusOf(port, basic("anna", OPEN))).toBe("200");
    // A relay that starts anew remembers no guesses: the other tests go on.
    await relay.kill("SIGTERM");
    await relay.start();
    expect(await statusOf(port, basic("anna", OPEN))).toBe("200");
  });

  test("guesses at one app hold up no login at another", async () => {
    const slow = await Bun.password.hash(OPEN, { algorithm: "bcrypt", cost: 8 });
    const port = await add({ basicAuth: { anna: slow }, trustedProxies: ["127.0.0.1"] }, shop.port);
    const other = await relay.add("other", shop.port, { basicAuth: users() });
    // Each guess is another client's, so that only the room for checks bounds them.
    const guess = (at: number) => statusOf(port, `X-Forwarded-For: 198.51.${at}.1\r\n${basic("anna", `guess ${at}`)}`);
    const guesses = Promise.all(Array.from({ length: 34 }, (_, at) => guess(at)));
    let isOver = false;
    void guesses.then(() => (isOver = true));
    expect(await statusOf(other, basic("anna", OPEN))).toBe("200");
    expect(isOver).toBe(false);
    expect(await guesses).toContain("429");
    await relay.front.remove("other");
  }, 60_000);

  test("another password counts at once", async () => {
    const port = await add();
    expect(await statusOf(port, basic("anna", OPEN))).toBe("200");
    const listen = { host: "127.0.0.1", port };
    const next = await Bun.password.hash("next", { algorithm: "bcrypt", cost: 4 });
    const base = { app: "shop", listen, protocol: "http" as const, trustedProxies: [] };
    await relay.front.set({ ...base, basicAuth: { anna: next.replace("$2b$", "$2y$") } });
    expect(await statusOf(port, basic("anna", OPEN))).toBe("401");
    expect(await statusOf(port, basic("anna", "next"))).toBe("200");
    await relay.front.set(base);
    expect(await statusOf(port)).toBe("200");
  });

  test("over https, on one connection, request after request; and in maintenance only behind the password", async () => {
    await relay.front.secure(authority.edge);
    await add({ domains: [{ name: "shop.test" }], tls: { http: "redirect", hsts: 0 } }, shop.port);
    const client = await secured(authority, "shop.test");
    let text = "";
    client.on("data", (chunk: Buffer) => void (text += chunk.toString("latin1")));
    for (let count = 1; count <= 3; count++) {
      client.write(`GET / HTTP/1.1\r\nHost: shop.test\r\n${basic("anna", OPEN)}\r\n`);
      await until("the answer", () => text.split("\r\n\r\nshop").length === count + 1);
    }
    client.destroy();
    await relay.front.maintain("shop", { since: "now", page: "closed" }, PASS);
    expect((await ask(authority, "https://shop.test/")).status).toBe(401);
    expect(await ask(authority, "https://shop.test/", "-u", `anna:${OPEN}`)).toMatchObject({
      status: 503,
      body: "closed",
    });
    expect((await ask(authority, "http://shop.test/")).status).toBe(308);
  });

  test("a status and the log hold no hash", async () => {
    await add();
    const status = JSON.stringify(await relay.front.status());
    expect(status).not.toContain(hash);
    expect(status).not.toContain("anna");
    expect(relay.log()).not.toContain(hash);
  });
});
