// One name, several apps: each request goes to the app of its path, on one connection, over http and https.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import type { DpError } from "../../../lib/errors.ts";
import type { Domain } from "../../../lib/contracts/front.ts";
import type { Site } from "../../../lib/fronts/relay/domains.ts";
import { placeOf, withoutPrefix } from "../../../lib/fronts/relay/shared-host.ts";
import { type Scripted, type TestApp, scripted, startApp } from "./support/apps.ts";
import { raw, startRelay, until, type TestRelay } from "./support/relay.ts";
import { ask, makeAuthority, secured, type Authority } from "./support/tls.ts";

const sites = (...paths: string[]) => {
  const place = (path: string) => ({ name: "shop.test", ...(path === "/" ? {} : { path }), app: path });
  const places = paths.map(place).toSorted((a, b) => (b.path ?? "").length - (a.path ?? "").length);
  return { places, only: null } as unknown as Site;
};
const whose = (site: Site, target: string) => {
  const found = placeOf(site, target);
  return found === null || found === "unclear" ? found : (found.app as unknown as string);
};

describe("whose a path is", () => {
  const shared = sites("/", "/api", "/api/v2", "/Docs");
  test.each([
    ["/", "/"],
    ["/api", "/api"],
    ["/api/", "/api"],
    ["/api?x=/../..", "/api"],
    ["/api/x", "/api"],
    ["/api/v2", "/api/v2"],
    ["/api/v2/x", "/api/v2"],
    ["/api/v21", "/api"],
    ["/apix", "/"],
    ["/api.", "/"],
    ["/API", "/"],
    ["/Docs/a", "/Docs"],
    ["/docs/a", "/"],
    ["//api", "/"],
    ["//api/v2", "/"],
    ["/x/api", "/"],
    ["/api//v2", "/api"],
    ["/api;x=1/v2", "/"],
    ["/api%2Fv2", "/"],
    ["/api%2f..%2fadmin", "/"],
    ["/%2Fapi", "/"],
    ["/api%5Cv2", "/"],
    ["/api%00", "/"],
    ["/api%20", "/"],
    ["/%61pi", "/api"],
    ["/%61%70%69/v%32", "/api/v2"],
    ["/%2561pi", "/"],
    ["*", "/"],
  ])("%s: %s", (target, app) => expect(whose(shared, target)).toBe(app));

  test.each(["/api/../admin", "/api/..", "/./api", "/api/.", "/%2e%2e/api", "/api/%2E%2e/x", "/api/.%2e", "/..?x"])(
    "%s is unclear",
    (target) => expect(whose(shared, target)).toBe("unclear"),
  );

  test("a path that nobody has is nobody's", () => {
    for (const target of ["/", "/apix", "/ap", "*", "//api"]) expect(whose(sites("/api"), target)).toBe(null);
  });
});

test.each([
  ["/api", "/api", "/"],
  ["/api/", "/api", "/"],
  ["/api?a=b", "/api", "/?a=b"],
  ["/api/x/y?a=/api/z", "/api", "/x/y?a=/api/z"],
  ["/%61pi/%78", "/api", "/%78"],
  ["/api/v2//x", "/api/v2", "//x"],
])("%s without %s is %s", (target, prefix, left) => {
  const head = Buffer.from(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`);
  expect(withoutPrefix(head, prefix).toString()).toBe(
    `GET ${left} HTTP/1.1\r\nHost: a\r\nX-Forwarded-Prefix: ${prefix}\r\n\r\n`,
  );
});

describe("a name with several apps", () => {
  let authority: Authority;
  let relay: TestRelay;
  let shop: TestApp;
  let api: TestApp;
  let seen: Scripted;

  beforeAll(async () => {
    authority = await makeAuthority();
    for (const name of ["shop.test", "other.test"]) authority.put(name);
    [shop, api] = [await startApp("bun", "shop"), await startApp("bun", "api")];
    seen = scripted((visit) => visit.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    relay = await startRelay();
  });
  afterEach(async () => {
    for (const app of ["shop", "api", "third"]) await relay.front.remove(app);
  });
  afterAll(async () => {
    await relay?.stop();
    await shop?.stop();
    await api?.stop();
    seen?.stop();
    authority?.end();
  });

  const TLS = { http: "redirect", hsts: 0 } as const;
  async function serve(more: Partial<Domain> = {}, target = api.port): Promise<void> {
    await relay.front.secure(authority.edge);
    await relay.add("shop", shop.port, { domains: [{ name: "shop.test" }], tls: TLS });
    await relay.add("api", target, { domains: [{ name: "shop.test", path: "/api", ...more }], tls: TLS });
  }
  const body = async (path: string, ...more: string[]) =>
    (await ask(authority, `https://shop.test${path}`, "--path-as-is", ...more)).body;

  test("each path leads to its app, and the app sees it whole", async () => {
    await serve();
    expect([await body("/"), await body("/api"), await body("/api/x"), await body("/apix")]).toEqual([
      ...["shop", "api", "api", "shop"],
    ]);
    await relay.add("third", seen.port, { domains: [{ name: "shop.test", path: "/api/v2" }], tls: TLS });
    expect(await body("/api/v2/a?b")).toBe("ok");
    expect(seen.came.at(-1)!).toStartWith("GET /api/v2/a?b HTTP/1.1\r\n");
    expect(seen.came.at(-1)!).not.toContain("Prefix");
    await relay.front.remove("third");
    expect(await body("/api/v2/a?b")).toBe("api");
  });

  test("one connection changes from app to app, with bodies, and counts on each", async () => {
    await serve();
    const client = await secured(authority, "shop.test");
    let text = "";
    client.on("data", (chunk: Buffer) => void (text += chunk.toString("latin1")));
    for (let count = 1; count <= 6; count++) {
      const path = count % 2 === 0 ? "/api/echo" : "/echo";
      client.write(`POST ${path} HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 4\r\n\r\n${count}abc`);
      await until("an answer", () => text.split("HTTP/1.1 200").length === count + 1 && /(?:abc|api)$/.test(text));
      expect(text).toEndWith(count % 2 === 0 ? "\r\n\r\napi" : `\r\n\r\n${count}abc`);
    }
    client.write("GET /api/ HTTP/1.1\r\nHost: shop.test\r\n\r\nGET / HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    await until("both", () => text.split("HTTP/1.1 200").length === 9 && text.endsWith("\r\n\r\nshop"));
    client.destroy();
    const counts = (await relay.front.status()).routes.map(({ app, requests }) => [app, requests]);
    expect(counts).toEqual([
      ["api", 4],
      ["shop", 4],
    ]);
    await until("no connection is left", async () =>
      (await relay.front.status()).routes.every(({ connections }) => connections === 0),
    );
  });

  test("a prefix is taken away, said, and never forged", async () => {
    await serve({ stripPrefix: true }, seen.port);
    expect(await body("/api/x?y", "-H", "X-Forwarded-Prefix: /evil")).toBe("ok");
    const got = seen.came.at(-1)!;
    expect(got).toStartWith("GET /x?y HTTP/1.1\r\n");
    expect(got.match(/^x-forwarded-prefix.*$/gim)).toEqual(["X-Forwarded-Prefix: /api"]);
    expect(await body("/api")).toBe("ok");
    expect(seen.came.at(-1)!).toStartWith("GET / HTTP/1.1\r\n");
    expect((await ask(authority, "https://shop.test/api//evil.test", "--path-as-is")).status).toBe(400);
    // The app's own port is not the name: there it gets everything.
    const { listen } = (await relay.front.status("api")).routes[0]!;
    await raw(listen.port, "GET /api/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    expect(seen.came.at(-1)!).toStartWith("GET /api/x HTTP/1.1\r\n");
  });

  test("behind a trusted proxy the prefix joins the proxy's own", async () => {
    await serve();
    await relay.add("third", seen.port, {
      domains: [{ name: "shop.test", path: "/v3", stripPrefix: true }],
      tls: { http: "serve", hsts: 0 },
      trustedProxies: ["127.0.0.1"],
    });
    expect((await ask(authority, "http://shop.test/v3/x", "-H", "X-Forwarded-Prefix: /outer")).body).toBe("ok");
    const got = seen.came.at(-1)!;
    expect(got).toStartWith("GET /x HTTP/1.1\r\n");
    expect(got.match(/^x-forwarded-prefix.*$/gim)).toEqual(["X-Forwarded-Prefix: /outer/v3"]);
  });

  test("WebSockets reach the app of their path", async () => {
    await serve({ stripPrefix: true });
    const client = await secured(authority, "shop.test");
    let text = "";
    client.on("data", (chunk: Buffer) => void (text += chunk.toString("latin1")));
    client.write("GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    await until("shop", () => text.endsWith("\r\n\r\nshop"));
    const key = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    client.write(
      `GET /api/ws HTTP/1.1\r\nHost: shop.test\r\n${key}Sec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==\r\n\r\n`,
    );
    await until("the upgrade", () => text.includes("HTTP/1.1 101"));
    client.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]));
    await until("the echo", () => text.endsWith("\x81\x02hi"));
    expect((await relay.front.status("api")).routes[0]!.inFlight["1-aaaaaaa"]).toMatchObject({ tunnels: 1 });
    client.destroy();
  });

  test("a path that can be read in two ways is refused, and tricks stay with the app of the plain path", async () => {
    await serve();
    const at = async (path: string) => {
      const { status, body: text } = await ask(authority, `https://shop.test${path}`, "--path-as-is");
      return status === 200 ? text : String(status);
    };
    for (const path of ["/api/../admin", "/api/%2e%2e/admin", "/x/../api", "/./api", "/api/%2E/x"])
      expect([path, await at(path)]).toEqual([path, "400"]);
    for (const path of ["//api", "/api%2f", "/apix", "/API", "/api;a", "/%2fapi"])
      expect([path, await at(path)]).toEqual([path, "shop"]);
    expect(await at("/%61pi")).toBe("api");
    // A name that one app has alone is passed on as ever.
    await relay.front.remove("api");
    expect(await at("/api/../admin")).toBe("shop");
  });

  test("Host must be a name of one of the connection's apps", async () => {
    await serve();
    await relay.add("third", seen.port, { domains: [{ name: "other.test" }], tls: TLS });
    const status = async (path: string, host: string) =>
      (await ask(authority, `https://shop.test${path}`, "-H", `Host: ${host}`)).status;
    for (const path of ["/", "/api"]) expect(await status(path, "other.test")).toBe(421);
    expect(await status("/api", "evil.test")).toBe(421);
    const client = await secured(authority, "shop.test");
    let text = "";
    client.on("data", (chunk: Buffer) => void (text += chunk.toString("latin1")));
    client.write("GET /api HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    await until("api", () => text.endsWith("\r\n\r\napi"));
    client.write("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n");
    await until("the refusal", () => text.includes("HTTP/1.1 421"));
    client.destroy();
  });

  test("without an app for the rest it is 404, over both ports, and http redirects what is known", async () => {
    await relay.front.secure(authority.edge);
    await relay.add("api", api.port, { domains: [{ name: "shop.test", path: "/api" }], tls: TLS });
    expect(await body("/api/x")).toBe("api");
    expect((await ask(authority, "https://shop.test/")).status).toBe(404);
    expect((await ask(authority, "http://shop.test/")).status).toBe(404);
    const { port } = authority.edge.https;
    expect((await ask(authority, "http://shop.test/api/x?y")).head).toContain(`https://shop.test:${port}/api/x?y\r\n`);
    authority.challenge("token", "token.thumb");
    expect((await ask(authority, "http://shop.test/.well-known/acme-challenge/token")).body).toBe("token.thumb");
  });

  test("each app keeps what stands before it, also on a connection that changes", async () => {
    await serve();
    const hash = await Bun.password.hash("open", { algorithm: "bcrypt", cost: 4 });
    const { listen } = (await relay.front.status("api")).routes[0]!;
    const domains = [{ name: "shop.test", path: "/api" }];
    const base = { app: "api", listen, protocol: "http" as const, trustedProxies: [], domains, tls: TLS };
    await relay.front.set({ ...base, basicAuth: { anna: hash } });
    expect((await ask(authority, "https://shop.test/api")).status).toBe(401);
    expect((await ask(authority, "https://shop.test/%61pi/")).status).toBe(401);
    expect(await body("/api", "-u", "anna:open")).toBe("api");
    expect(await body("/")).toBe("shop");
    const client = await secured(authority, "shop.test");
    let text = "";
    client.on("data", (chunk: Buffer) => void (text += chunk.toString("latin1")));
    client.write("GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    await until("shop", () => text.endsWith("\r\n\r\nshop"));
    client.write("GET /api HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    await until("the question", () => text.includes("HTTP/1.1 401"));
    client.destroy();
    await relay.front.maintain("shop", { since: "now", page: "closed" }, "");
    expect((await ask(authority, "https://shop.test/")).status).toBe(503);
    expect(await body("/api", "-u", "anna:open")).toBe("api");
  });

  test("a path belongs to one app; all of it is there after a kill", async () => {
    await serve({ stripPrefix: true });
    const error = await relay
      .add("third", api.port, { domains: [{ name: "shop.test", path: "/api" }] })
      .catch((thrown: unknown) => thrown as DpError);
    expect((error as DpError).message).toBe('shop.test/api belongs to the app "api"');
    expect((error as DpError).hint).toBe("dp domains api remove shop.test/api");
    await relay.kill("SIGKILL");
    await relay.start();
    expect([await body("/"), await body("/api")]).toEqual(["shop", "api"]);
    await relay.front.remove("shop");
    expect(await body("/api")).toBe("api");
    expect((await ask(authority, "https://shop.test/")).status).toBe(404);
  });
});
