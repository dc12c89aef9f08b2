// Domains behind HAProxy: certificates by name, HTTP/2, the port for challenges and redirects, and changes under load.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { writeFileSync } from "node:fs";
import { once } from "node:events";
import { connect } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import type { Route } from "../../../lib/contracts/front.ts";
import haproxy from "../../../lib/fronts/haproxy.ts";
import { filesOf, haproxyProgram } from "../../../lib/fronts/haproxy/places.ts";
import { processes } from "../../../lib/fronts/haproxy/runtime.ts";
import { startSupervised, stopSupervised } from "../../../lib/fronts/haproxy/supervised.ts";
import { makeIo, silentLog } from "../../../lib/host/io.ts";
import { freePort } from "../../support/box-host.ts";
import { expectNoLoss } from "../contract.ts";
import { startApp, type TestApp } from "../relay/support/apps.ts";
import { load } from "../relay/support/load.ts";
import { ask, makeAuthority, type Authority } from "../relay/support/tls.ts";

const isMissing = haproxyProgram() === null;
const before = process.env["DP_ROOT"];
const io = makeIo(silentLog);
const REDIRECT = { http: "redirect", hsts: 0 } as const;
let folder: string;
let authority: Authority;
let shop: TestApp;
let blog: TestApp;
let listen: Record<"shop" | "blog", Route["listen"]>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "dp-haproxy-"));
  chmodSync(folder, 0o755);
  process.env["DP_ROOT"] = folder;
  authority = await makeAuthority(join(folder, "var/lib/dp/tls"));
  const { http, https } = authority.edge;
  mkdirSync(join(folder, "etc/dp"), { recursive: true });
  const ports = `http: 127.0.0.1:${http.port}\nhttps: 127.0.0.1:${https.port}\n`;
  writeFileSync(join(folder, "etc/dp/tls.yml"), `${ports}public: {http: ${http.port}, https: ${https.port}}\n`);
  [shop, blog] = [await startApp("bun", "shop"), await startApp("bun", "blog")];
  const at = async () => ({ host: "127.0.0.1", port: await freePort() });
  listen = { shop: await at(), blog: await at() };
});
afterEach(async () => {
  for (const app of ["shop", "blog"]) await haproxy.remove(app, io);
}, 60_000);
afterAll(async () => {
  await shop?.stop();
  await blog?.stop();
  authority?.end();
  if (before === undefined) delete process.env["DP_ROOT"];
  else process.env["DP_ROOT"] = before;
  rmSync(folder, { recursive: true });
});

type More = Partial<Pick<Route, "domains" | "tls" | "trustedProxies">>;
const routeOf = (app: "shop" | "blog", more: More = {}): Omit<Route, "target"> => {
  const own = { app, listen: listen[app], protocol: "http" as const, trustedProxies: [], tls: REDIRECT };
  return Object.assign(own, more);
};

/** Gives the app shop its domains. */
async function serve(more: More = {}): Promise<void> {
  const domains = [{ name: "shop.test" }, { name: "www.shop.test", redirect: "shop.test" }];
  for (const { name } of domains) authority.put(name);
  await haproxy.setup(routeOf("shop", { domains, ...more }), io);
  await haproxy.point("shop", { id: "1-aaaaaaa", port: shop.port }, io);
}
async function serveBlog(): Promise<void> {
  authority.put("*.blog.test");
  await haproxy.setup(routeOf("blog", { domains: [{ name: "*.blog.test" }] }), io);
  await haproxy.point("blog", { id: "1-aaaaaaa", port: blog.port }, io);
}
const workers = async () => (await processes())!.workers.map(({ pid }) => pid);

describe.skipIf(isMissing)(`domains${isMissing ? " (skipped: haproxy is not installed)" : ""}`, () => {
  test("each name gets its certificate and its app, by HTTP/2 and HTTP/1.1, in whatever case", async () => {
    await serve();
    await serveBlog();
    for (const version of ["--http2", "--http1.1"]) {
      const got = await ask(authority, "https://shop.test/headers", version);
      expect([got.status, got.head.startsWith(version === "--http2" ? "HTTP/2 " : "HTTP/1.1 ")]).toEqual([200, true]);
      const headers = JSON.parse(got.body) as Record<string, string>;
      expect(headers).toMatchObject({ "x-forwarded-proto": "https", "x-forwarded-host": "shop.test" });
      expect(got.head.toLowerCase()).not.toContain("strict-transport-security");
      expect((await ask(authority, "https://SHOP.test/", version)).body).toBe("shop");
      expect((await ask(authority, "https://any.blog.test/", version)).body).toBe("blog");
    }
    expect((await haproxy.edge!())?.certified).toEqual(["*.blog.test", "shop.test", "www.shop.test"]);
    expect((await haproxy.status("shop"))?.requests).toBe(4);
    expect(await haproxy.drift!()).toEqual([]);
  });

  test("a name that nobody has, and none at all, get an alert and no app", async () => {
    await serve();
    for (const name of ["-servername evil.test", "-noservername", "-servername a.b.blog.test"]) {
      const to = ["-connect", `127.0.0.1:${authority.edge.https.port}`];
      const { stdout, stderr } = Bun.spawnSync(["openssl", "s_client", ...to, ...name.split(" ")], { stdin: null });
      expect(stderr.toString()).toContain("alert");
      expect(stdout.toString()).toContain("no peer certificate available");
    }
  });

  test("a Host that is not the connection's app's is misdirected", async () => {
    await serve();
    await serveBlog();
    for (const version of ["--http2", "--http1.1"]) {
      const at = (host: string) => ask(authority, "https://shop.test/", version, "-H", `Host: ${host}`);
      for (const host of ["evil.test", "any.blog.test", "127.0.0.1"]) expect((await at(host)).status).toBe(421);
      expect((await at("SHOP.test:443")).body).toBe("shop");
      expect((await at("shop.test.")).body).toBe("shop");
    }
  });

  test("TLS 1.0 and 1.1 are refused, 1.2 only with forward secrecy, and what is no TLS is closed", async () => {
    await serve();
    const code = async (...words: string[]) => (await ask(authority, "https://shop.test/", ...words)).code;
    expect(await code("--tlsv1.3")).toBe(0);
    expect(await code("--tlsv1.2", "--tls-max", "1.2")).toBe(0);
    expect(await code("--tlsv1.0", "--tls-max", "1.1")).not.toBe(0);
    for (const cipher of ["ECDHE-ECDSA-AES128-SHA", "AES128-GCM-SHA256"])
      expect([cipher, await code("--tls-max", "1.2", "--ciphers", cipher)]).not.toEqual([cipher, 0]);
    const plain = fetch(`http://127.0.0.1:${authority.edge.https.port}/`, { headers: { Host: "shop.test" } });
    await expect(plain).rejects.toThrow();
  });

  test("HSTS over https only, and port 80 serves where it shall, without a certificate, or when a proxy says https", async () => {
    await serve({ tls: { http: "serve", hsts: 31_536_000 } });
    expect((await ask(authority, "https://shop.test/")).head).toContain("strict-transport-security: max-age=31536000");
    const plain = await ask(authority, "http://shop.test/");
    expect([plain.body, plain.head.includes("strict-transport")]).toEqual(["shop", false]);
    await serve({ domains: [{ name: "shop.test" }] });
    await haproxy.setup(routeOf("shop", { domains: [{ name: "shop.test" }, { name: "new.test" }] }), io);
    expect((await ask(authority, "http://new.test/")).body).toBe("shop");
    expect((await haproxy.edge!())?.certified).toEqual(["shop.test"]);
    await serve({ trustedProxies: ["127.0.0.0/8"] });
    const said = (proto: string) => ask(authority, "http://shop.test/", "-H", `X-Forwarded-Proto: ${proto}`);
    expect((await said("https")).body).toBe("shop");
    expect((await said("http")).status).toBe(308);
  });

  test("redirects keep path and query, over http and https, and its own port never redirects", async () => {
    await serve();
    const { port } = authority.edge.https;
    const got = await ask(authority, "http://SHOP.test/a/b?c=d&e", "-X", "POST", "-d", "x");
    expect(got.status).toBe(308);
    expect(got.head).toContain(`location: https://shop.test:${port}/a/b?c=d&e`);
    for (const url of ["http://www.shop.test/x?y", "https://www.shop.test/x?y"]) {
      const { status, head } = await ask(authority, url);
      expect([status, head.includes(`location: https://shop.test:${port}/x?y`)]).toEqual([308, true]);
    }
    const own = await fetch(`http://127.0.0.1:${listen.shop.port}/`, { headers: { Host: "shop.test" } });
    expect(await own.text()).toBe("shop");
  });

  test("a token of ours is answered, an unknown one is 404 and never a redirect, and so is an unknown name", async () => {
    await serve();
    authority.challenge("abc-DEF_1", "abc-DEF_1.thumb");
    const at = (path: string, host = "shop.test") => ask(authority, `http://${host}${path}`, "--path-as-is");
    expect((await at("/.well-known/acme-challenge/abc-DEF_1")).body).toBe("abc-DEF_1.thumb");
    expect((await at("/.well-known/acme-challenge/abc-DEF_1", "other.test")).body).toBe("abc-DEF_1.thumb");
    for (const token of ["other", "../../ca.pem", "abc-DEF_1%00", "", ".", ".."])
      expect((await at(`/.well-known/acme-challenge/${token}`)).status).toBe(404);
    expect((await at("/", "evil.test")).status).toBe(404);
  });

  test("a name of another app is refused, and the ports close with the last domain", async () => {
    await serve();
    const taken = haproxy.setup(routeOf("blog", { domains: [{ name: "shop.test" }] }), io);
    await expect(taken).rejects.toThrow('shop.test belongs to the app "shop"');
    await haproxy.setup(routeOf("shop"), io);
    expect(await haproxy.edge!()).toBeNull();
    expect((await ask(authority, "https://shop.test/")).code).not.toBe(0);
    expect(readdirSync(filesOf().certificates)).toEqual([]);
    expect((await fetch(`http://127.0.0.1:${listen.shop.port}/`)).status).toBe(200);
  });

  test("a port that another program has is told, the app's own port serves, and the next setup takes it", async () => {
    const listener = Bun.listen({ hostname: "127.0.0.1", port: authority.edge.https.port, socket: { data() {} } });
    await serve();
    expect((await haproxy.edge!())?.https.error).toContain("is taken by another program");
    expect((await fetch(`http://127.0.0.1:${listen.shop.port}/`)).status).toBe(200);
    listener.stop(true);
    await serve();
    expect((await ask(authority, "https://shop.test/")).body).toBe("shop");
  });

  test("a pair that cannot be used is refused, and the old one stays", async () => {
    await serve();
    const [one, other] = [authority.pair("shop.test"), authority.pair("shop.test")];
    const cert = other.slice(other.indexOf("-----BEGIN CERTIFICATE"));
    authority.put("shop.test", one.slice(0, one.indexOf("-----BEGIN CERTIFICATE")) + cert);
    await expect(haproxy.certify!("shop.test")).rejects.toThrow("its key belongs to another certificate");
    await expect(haproxy.certify!("none.test")).rejects.toThrow("HAProxy has no domain none.test");
    expect((await ask(authority, "https://shop.test/")).body).toBe("shop");
    // A dp that was killed before it could tell HAProxy is seen by doctor, and the next setup mends it.
    authority.put("shop.test");
    expect((await haproxy.edge!())?.certified).toEqual(["www.shop.test"]);
    const former = await printNow("shop.test");
    const domains = [{ name: "shop.test" }, { name: "www.shop.test", redirect: "shop.test" }];
    await haproxy.setup(routeOf("shop", { domains }), io);
    expect((await haproxy.edge!())?.certified).toEqual(["shop.test", "www.shop.test"]);
    expect(await printNow("shop.test")).not.toBe(former);
    expect(await haproxy.drift!()).toEqual([]);
  });

  test("keys are for HAProxy alone, and a restart has what was added by the runtime API", async () => {
    await serve();
    const [pid] = await workers();
    authority.put("late.test");
    await haproxy.setup(routeOf("shop", { domains: [{ name: "shop.test" }, { name: "late.test" }] }), io);
    expect(await workers()).toEqual([pid!]);
    expect((await ask(authority, "https://late.test/")).body).toBe("shop");
    for (const file of readdirSync(filesOf().certificates))
      expect(statSync(join(filesOf().certificates, file)).mode & 0o777).toBe(0o600);
    expect(existsSync(join(filesOf().certificates, "www.shop.test.pem"))).toBe(false);
    expect(readFileSync(filesOf().routes, "utf8")).not.toContain("PRIVATE");
    // HAProxy must start whatever happens to the files of others.
    rmSync(authority.edge.certificates, { recursive: true });
    await stopSupervised();
    await startSupervised();
    expect((await ask(authority, "https://late.test/", "--http2")).body).toBe("shop");
    expect((await ask(authority, "https://www.shop.test/")).code).not.toBe(0);
  });

  test("a WebSocket over HTTP/2 reaches the app, and counts as an upgraded connection until a drain closes it", async () => {
    await serve();
    const session = connect("https://shop.test", { createConnection: () => secureSocket("shop.test") });
    await once(session, "remoteSettings");
    const path = { ":path": "/ws", ":scheme": "https", ":authority": "shop.test" };
    const kind = { ":method": "CONNECT", ":protocol": "websocket", "sec-websocket-version": "13" };
    const stream = session.request(Object.assign(kind, path));
    const closed = once(stream, "close");
    stream.on("error", () => undefined);
    const [headers] = (await once(stream, "response")) as [Record<string, unknown>];
    expect(headers[":status"]).toBe(200);
    // A masked frame "hi", which the app sends back.
    stream.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]));
    const [echo] = (await once(stream, "data")) as [Buffer];
    expect(echo.toString("latin1")).toEndWith("hi");
    expect((await haproxy.status("shop"))?.inFlight).toEqual({ "1-aaaaaaa": { requests: 0, tunnels: 1 } });
    await haproxy.point("shop", { id: "2-aaaaaaa", port: blog.port }, io);
    expect(await haproxy.drain("shop", "1-aaaaaaa", 5_000, io)).toEqual({ requests: 0, tunnelsClosed: 1 });
    await closed;
    session.close();
  });

  test("adds, removes and renewals under load cost no request, no HTTP/2 stream and no WebSocket", async () => {
    await serve();
    await serveBlog();
    const pids = await workers();
    const one = load({
      ...{ port: authority.edge.https.port, host: "shop.test", isSecure: true },
      ...{ keepAlive: 4, fresh: 2, websockets: 4, think: 10, paths: { quick: "/", echo: "/echo", websocket: "/ws" } },
    });
    const two = http2Load();
    for (let round = 0; round < 6; round++) {
      authority.put("more.test");
      await haproxy.setup(routeOf("shop", { domains: [{ name: "shop.test" }, { name: "more.test" }] }), io);
      expect((await ask(authority, "https://more.test/", "--http2")).body).toBe("shop");
      const former = await printNow("shop.test");
      authority.put("shop.test");
      await haproxy.certify!("shop.test");
      expect(await printNow("shop.test")).not.toBe(former);
      await haproxy.setup(routeOf("shop", { domains: [{ name: "shop.test" }] }), io);
      expect((await ask(authority, "https://more.test/")).code).not.toBe(0);
    }
    const [result, streams] = [await one.stop(), await two.stop()];
    expectNoLoss(result);
    expect(result.websockets).toMatchObject({ opened: 4, failed: 0 });
    expect(streams).toEqual({ sent: expect.any(Number) as unknown as number, failed: 0, sessions: 2 });
    expect(streams.sent).toBeGreaterThan(100);
    expect(await workers()).toEqual(pids);
  }, 120_000);
});

/** The SHA-256 of the certificate that a new connection gets. */
async function printNow(name: string): Promise<string> {
  const to = ["-connect", `127.0.0.1:${authority.edge.https.port}`, "-servername", name];
  const { stdout } = Bun.spawnSync(["openssl", "s_client", ...to], { stdin: Buffer.from("") });
  return new Bun.CryptoHasher("sha256").update(/-----BEGIN[^]+-----END CERT/.exec(stdout.toString())![0]).digest("hex");
}

const secureSocket = (servername: string) => {
  const { port } = authority.edge.https;
  return connectTls({ host: "127.0.0.1", port, servername, ca: authority.root, ALPNProtocols: ["h2"] });
};

/** POSTs over two HTTP/2 connections, eight streams at a time, that nothing repeats. */
function http2Load() {
  const seen = { sent: 0, failed: 0, sessions: 0 };
  let isOver = false;
  const post = (session: ReturnType<typeof connect>) =>
    new Promise<void>((resolve) => {
      seen.sent++;
      const stream = session.request({ ":method": "POST", ":path": "/echo" });
      let [text, status] = ["", 0];
      stream.on("response", (headers) => void (status = Number(headers[":status"])));
      stream.on("data", (chunk: Buffer) => void (text += chunk.toString()));
      stream.on("error", () => undefined);
      stream.on("close", () => {
        if (status !== 200 || text !== "body") seen.failed++;
        resolve();
      });
      stream.end("body");
    });
  const client = async () => {
    seen.sessions++;
    const session = connect("https://shop.test", {
      createConnection: () => secureSocket("shop.test"),
    });
    session.on("error", () => seen.failed++);
    session.on("goaway", () => seen.failed++);
    const stream = async () => {
      while (!isOver) await post(session);
    };
    await Promise.all(Array.from({ length: 8 }, stream));
    session.close();
  };
  const clients = [client(), client()];
  return {
    async stop() {
      isOver = true;
      await Promise.all(clients);
      return seen;
    },
  };
}
