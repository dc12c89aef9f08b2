// The relay with domains: certificates by name, the port for challenges and redirects, and renewals under load.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { DpError } from "../../../lib/errors.ts";
import { keepsContract } from "../../../lib/fronts/relay/contract.ts";
import { type TestApp, startApp } from "./support/apps.ts";
import { raw, rawClient, startRelay, until, type TestRelay } from "./support/relay.ts";
import { ask, makeAuthority, secured, type Authority } from "./support/tls.ts";

let authority: Authority;
let relay: TestRelay;
let shop: TestApp;
let blog: TestApp;

beforeAll(async () => {
  authority = await makeAuthority();
  for (const name of ["shop.test", "www.shop.test", "*.blog.test"]) authority.put(name);
  [shop, blog] = [await startApp("bun", "shop"), await startApp("bun", "blog")];
});
afterEach(async () => {
  for (const app of ["shop", "blog"]) await relay.front.remove(app);
});
afterAll(async () => {
  await shop?.stop();
  await blog?.stop();
  authority?.end();
});

type More = Parameters<TestRelay["add"]>[2];
const REDIRECT = { http: "redirect", hsts: 0 } as const;

/** Gives the app shop its domains, and makes the relay serve them. */
async function serve(more: More = {}): Promise<void> {
  await relay.front.secure(authority.edge);
  const domains = [{ name: "shop.test" }, { name: "www.shop.test", redirect: "shop.test" }];
  await relay.add("shop", shop.port, { domains, tls: REDIRECT, ...more });
}
const serveBlog = () => relay.add("blog", blog.port, { domains: [{ name: "*.blog.test" }], tls: REDIRECT });

/** Starts a relay for the tests of a group; `env`: more variables. */
function withRelay(env: Record<string, string> = {}): void {
  beforeAll(async () => {
    relay = await startRelay(env);
  });
  afterAll(() => relay?.stop());
}

describe("contract", () => {
  withRelay();

  test("this Bun asks for the certificate of the name that a client sends", async () => {
    expect(await keepsContract()).toBe(true);
  });
});

// Without the handlers of Bun that its documentation does not promise, node:tls does the same.
describe.each(["bun", "node"])("https by %s", (way) => {
  withRelay({ DP_RELAY_TLS: way });

  test("each name gets its certificate and its app, in whatever case", async () => {
    await serve();
    await serveBlog();
    const got = await ask(authority, "https://shop.test/headers");
    expect(got.status).toBe(200);
    const headers = JSON.parse(got.body) as Record<string, string>;
    expect(headers).toMatchObject({ "x-forwarded-proto": "https", "x-forwarded-host": "shop.test", host: "shop.test" });
    expect(got.head).not.toContain("Strict-Transport-Security");
    expect((await ask(authority, "https://SHOP.test/")).body).toBe("shop");
    expect((await ask(authority, "https://any.blog.test/")).body).toBe("blog");
    const { edge } = await relay.front.status();
    expect(edge).toMatchObject({ way, certified: ["*.blog.test", "shop.test", "www.shop.test"] });
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
    for (const host of ["evil.test", "any.blog.test", "127.0.0.1"])
      expect((await ask(authority, "https://shop.test/", "-H", `Host: ${host}`)).status).toBe(421);
    expect((await ask(authority, "https://shop.test/", "-H", "Host: SHOP.test:443")).body).toBe("shop");
  });

  test("TLS 1.0 and 1.1 are refused, 1.2 and 1.3 work, and what is no TLS is closed", async () => {
    await serve();
    const status = async (version: string) =>
      (await ask(authority, "https://shop.test/", `--tls${version}`, "--tls-max", version.slice(1) || "1.0")).status;
    expect(await status("v1.2")).toBe(200);
    expect((await ask(authority, "https://shop.test/", "--tlsv1.3")).status).toBe(200);
    expect((await ask(authority, "https://shop.test/", "--tlsv1.0", "--tls-max", "1.1")).status).toBe(0);
    expect((await raw(authority.edge.https.port, "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")).text).not.toContain(
      "HTTP",
    );
  });

  test("TLS 1.2 takes no cipher without forward secrecy or with CBC, and sessions are resumed", async () => {
    await serve();
    const to = ["-connect", `127.0.0.1:${authority.edge.https.port}`, "-servername", "shop.test"];
    const kept = join(authority.folder, "session");
    const said = (...more: string[]) =>
      Bun.spawnSync(["openssl", "s_client", ...to, ...more], { stdin: Buffer.from("") }).stdout.toString();
    for (const cipher of ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "AES128-GCM-SHA256"])
      expect([cipher, said("-tls1_2", "-cipher", cipher)]).toEqual([
        cipher,
        expect.stringContaining("Cipher is (NONE)"),
      ]);
    expect(said("-tls1_2", "-sess_out", kept)).toContain("New, TLSv1.2, Cipher is ECDHE-ECDSA-");
    expect(said("-tls1_2", "-sess_in", kept)).toContain("Reused, TLSv1.2");
  });

  test("bodies arrive whole in both directions, and a stream is not held back", async () => {
    await serve();
    const file = join(authority.folder, "up");
    const bytes = randomBytes(8 << 20);
    writeFileSync(file, bytes);
    const sum = createHash("sha256").update(bytes).digest("hex");
    const back = join(authority.folder, "down");
    const got = await ask(authority, "https://shop.test/echo", "--data-binary", `@${file}`, "-o", back, "--no-include");
    expect(got.code).toBe(0);
    expect(
      createHash("sha256")
        .update(await Bun.file(back).bytes())
        .digest("hex"),
    ).toBe(sum);
    const client = await secured(authority, "shop.test");
    let text = "";
    client.on("data", (chunk: Buffer) => void (text += chunk.toString("latin1")));
    client.write("GET /events HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    await until("the first events", () => text.split("data: shop").length > 3);
    client.destroy();
  });

  test("HSTS is sent over https only, and to whom it was asked for", async () => {
    await serve({ tls: { http: "serve", hsts: 31_536_000 } });
    expect((await ask(authority, "https://shop.test/")).head).toContain("Strict-Transport-Security: max-age=31536000");
    expect((await ask(authority, "http://shop.test/")).head).not.toContain("Strict-Transport-Security");
  });

  test("a silent connection ends after the limit of a handshake, and 300 of them disturb nobody", async () => {
    await serve();
    const silent = await Promise.all(Array.from({ length: 300 }, () => rawClient(authority.edge.https.port)));
    expect((await ask(authority, "https://shop.test/")).body).toBe("shop");
    await Promise.all(silent.map((client) => client.until(() => false, 60_000)));
    expect(silent.every((client) => client.ending() !== "open")).toBe(true);
  });

  test("after kill -9 names, certificates and ports are as they were", async () => {
    await serve();
    await serveBlog();
    await relay.kill("SIGKILL");
    await relay.start();
    expect((await ask(authority, "https://shop.test/")).body).toBe("shop");
    expect((await ask(authority, "https://x.blog.test/")).body).toBe("blog");
    expect((await ask(authority, "http://www.shop.test/")).status).toBe(308);
  });

  test("adds, removes and renewals under load cost no request and no WebSocket", async () => {
    await serve();
    const listen = (await relay.front.status()).routes[0]!.listen;
    const socket = await secured(authority, "shop.test");
    let text = "";
    socket.on("data", (chunk: Buffer) => void (text += chunk.toString("latin1")));
    socket.write(
      "GET /ws HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    await until("the upgrade", () => text.includes("101"));
    const seen = { sent: 0, failed: 0, isOver: false };
    const worker = async (isFresh: boolean) => {
      const init = { method: "POST", body: "x", tls: { ca: authority.root, serverName: "shop.test" } };
      const headers = { Host: "shop.test", ...(isFresh ? { Connection: "close" } : {}) };
      while (!seen.isOver) {
        seen.sent++;
        try {
          const answer = await fetch(`https://127.0.0.1:${authority.edge.https.port}/echo`, {
            ...init,
            headers,
          } as RequestInit);
          if ((await answer.text()) !== "x") seen.failed++;
        } catch {
          seen.failed++;
        }
      }
    };
    const workers = [true, true, false, false].map(worker);
    const set = (names: string[]) =>
      relay.front.set({
        ...{ app: "shop", listen, protocol: "http" as const, trustedProxies: [], tls: REDIRECT },
        domains: names.map((name) => ({ name })),
      });
    for (let round = 0; round < 10; round++) {
      authority.put("more.test");
      await set(["shop.test", "more.test"]);
      authority.put("shop.test");
      await relay.front.certify("shop.test");
      await relay.front.point("shop", { id: `${round + 2}-aaaaaaa`, port: shop.port });
      await set(["shop.test"]);
    }
    seen.isOver = true;
    await Promise.all(workers);
    expect(seen.failed).toBe(0);
    expect(seen.sent).toBeGreaterThan(100);
    // A masked frame "hi", which the app sends back.
    socket.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]));
    await until("the echo of the WebSocket", () => text.endsWith("hi"));
    socket.destroy();
  });
});

describe("http", () => {
  withRelay();

  test("a known name is redirected with its path and query, whatever the method", async () => {
    await serve();
    const { port } = authority.edge.https;
    const got = await ask(authority, "http://SHOP.test/a/b?c=d&e", "-X", "POST", "-d", "x");
    expect(got.status).toBe(308);
    expect(got.head).toContain(`Location: https://shop.test:${port}/a/b?c=d&e\r\n`);
  });

  test("a redirected name leads to the main one, over http and https", async () => {
    await serve();
    const to = `Location: https://shop.test:${authority.edge.https.port}/x?y\r\n`;
    for (const proto of ["http", "https"]) {
      const got = await ask(authority, `${proto}://www.shop.test/x?y`);
      expect([got.status, got.head.includes(to)]).toEqual([308, true]);
    }
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

  test("the app answers over http too when it shall, when it has no certificate, or when a proxy says https", async () => {
    await serve({ tls: { http: "serve", hsts: 0 } });
    expect((await ask(authority, "http://shop.test/")).body).toBe("shop");
    await relay.front.set({
      ...{ app: "shop", listen: (await relay.front.status()).routes[0]!.listen, protocol: "http", trustedProxies: [] },
      domains: [{ name: "new.test" }],
      tls: REDIRECT,
    });
    expect((await ask(authority, "http://new.test/")).body).toBe("shop");
    await serve({ trustedProxies: ["127.0.0.1"] });
    const said = (proto: string) => ask(authority, "http://shop.test/", "-H", `X-Forwarded-Proto: ${proto}`);
    expect((await said("https")).body).toBe("shop");
    expect((await said("http")).status).toBe(308);
  });

  test("one connection may ask for names of several apps", async () => {
    await serve({ tls: { http: "serve", hsts: 0 } });
    await serveBlog();
    const client = await rawClient(authority.edge.http.port);
    client.write("GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    await client.until(/shop$/);
    client.write("GET / HTTP/1.1\r\nHost: x.blog.test\r\n\r\n");
    await client.until(/308/);
    client.close();
  });
});

describe("changes", () => {
  withRelay();

  test("a domain of another app is refused, and the ports close with the last domain", async () => {
    await serve();
    const taken = relay.add("blog", blog.port, { domains: [{ name: "shop.test" }], tls: REDIRECT });
    await expect(taken).rejects.toThrow(new DpError("host", 'shop.test belongs to the app "shop"').message);
    await relay.front.remove("shop");
    expect((await relay.front.status()).edge).toBeNull();
    expect((await ask(authority, "https://shop.test/")).code).not.toBe(0);
  });

  test("a change of another app between the ports and the first domain changes nothing", async () => {
    await relay.front.secure(authority.edge);
    await relay.add("blog", blog.port);
    await relay.add("shop", shop.port, { domains: [{ name: "shop.test" }], tls: REDIRECT });
    expect((await ask(authority, "https://shop.test/")).body).toBe("shop");
  });

  test("a port that another program has is told, and had as soon as it is free", async () => {
    const listener = Bun.listen({ hostname: "127.0.0.1", port: authority.edge.https.port, socket: { data() {} } });
    await serve();
    expect((await relay.front.status()).edge?.https.error).toContain("is taken by another program");
    expect((await ask(authority, "http://shop.test/")).status).toBe(308);
    listener.stop(true);
    await until("the relay has the port", async () => (await ask(authority, "https://shop.test/")).body === "shop");
  });

  test("a key of another certificate is refused, and the old one stays", async () => {
    await serve();
    const [one, other] = [authority.pair("shop.test"), authority.pair("shop.test")];
    const cert = other.slice(other.indexOf("-----BEGIN CERTIFICATE"));
    authority.put("shop.test", one.slice(0, one.indexOf("-----BEGIN CERTIFICATE")) + cert);
    await expect(relay.front.certify("shop.test")).rejects.toThrow("its key belongs to another certificate");
    expect((await ask(authority, "https://shop.test/")).body).toBe("shop");
    authority.put("shop.test");
    await relay.front.certify("shop.test");
  });
});
