// Routers, pages for what is not there, headers of deploy.yml, and the assets of releases before.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { patternOf } from "../../../lib/apps/static/headers.ts";
import { freePort } from "../../support/core-server.ts";
import { until } from "../../support/sandbox.ts";
import { serveStatic, type Served } from "./support.ts";

let site: Served;
const hour = (count: number) => new Date(Date.now() + count * 3_600_000).toISOString();
beforeAll(async () => {
  site = await serveStatic();
  site.release("1-aaaaaaa", {
    "dist/index.html": "old front",
    "dist/old.html": "old page",
    "dist/app-AAAA1111.js": "old asset",
    "dist/other-CCCC3333.css": "old style",
    "dist/plain.js": "old plain",
  });
  site.release("2-bbbbbbb", {
    "dist/index.html": "front",
    "dist/404.html": "nothing",
    "dist/assets/app-BBBB2222.js": "asset",
    "dist/other-CCCC3333.css": "new style",
    "dist/assets/deep/x.txt": "deep",
  });
});
afterAll(() => site.stop());
const older = (until: string) => ({ older: [{ release: join(site.top, "1-aaaaaaa"), root: "dist", until }] });

describe("spa: true", () => {
  beforeAll(() => site.serve("2-bbbbbbb", { spa: true }));

  test.each<[string, Record<string, string>, number]>([
    ["/", {}, 200],
    ["/cart", {}, 200],
    ["/cart/7/", {}, 200],
    ["/cart", { Accept: "text/html,application/xhtml+xml" }, 200],
    ["/cart", { "Sec-Fetch-Mode": "navigate", Accept: "text/html" }, 200],
    ["/user/a.b", { "Sec-Fetch-Mode": "navigate", Accept: "text/html" }, 404],
    ["/user/john.doe-the-second", { "Sec-Fetch-Mode": "navigate", Accept: "text/html" }, 200],
    ["/missing.js", {}, 404],
    ["/missing.js", { Accept: "text/html" }, 404],
    ["/assets/gone-DDDD4444.js", { "Sec-Fetch-Mode": "no-cors", Accept: "*/*" }, 404],
    ["/api/cart", { Accept: "application/json" }, 404],
    ["/api/cart", { "Sec-Fetch-Mode": "cors", Accept: "*/*" }, 404],
    ["/.env", {}, 404],
    ["/%2e%2e/x", {}, 404],
  ])("%s %j is %d", async (path, headers, status) => {
    const answer = await site.get(path, headers);
    expect(answer.status).toBe(status);
    expect(answer.text).toBe(status === 200 ? "front" : "404 Not Found\n");
    expect(answer.headers.get("cache-control")).toBe("no-cache");
  });
});

test("without spa there is no such page", async () => {
  await site.serve("2-bbbbbbb", {});
  expect((await site.get("/cart")).status).toBe(404);
});

describe("clean URLs", () => {
  beforeAll(() => {
    site.release("3-ccccccc", {
      "dist/index.html": "front",
      "dist/404.html": "nothing",
      "dist/about.html": "about",
      "dist/blog.html": "blog",
      "dist/blog/first.html": "first post",
      "dist/docs/index.html": "docs",
      "dist/.secret.html": "secret",
    });
  });

  test.each([{ notFound: "404.html" }, { spa: true }])("with %j", async (options) => {
    await site.serve("2-bbbbbbb", options, { release: join(site.top, "3-ccccccc") });
    for (const [path, text] of [
      ["/about", "about"],
      ["/about?x=1", "about"],
      ["/about.html", "about"],
      ["/blog", "blog"],
      ["/blog/first", "first post"],
    ] as const) {
      const answer = await site.get(path);
      expect([path, answer.status, answer.text]).toEqual([path, 200, text]);
      expect(answer.headers.get("content-type")).toBe("text/html; charset=utf-8");
      expect(answer.headers.get("cache-control")).toBe("no-cache");
      expect((await site.get(path, { "If-None-Match": answer.headers.get("etag")! })).status).toBe(304);
    }
    expect((await site.get("/docs")).headers.get("location")).toBe("/docs/");
    const other = options.spa ? [200, "front"] : [404, "nothing"];
    for (const path of ["/nowhere", "/about/", "/blog/second"]) {
      const answer = await site.get(path);
      expect([path, answer.status, answer.text]).toEqual([path, ...other] as [string, number, string]);
    }
    for (const path of ["/.secret", "/%2e%2e/about", "/..%2fabout"]) expect((await site.get(path)).status).toBe(404);
  });
});

describe("root: .", () => {
  beforeAll(async () => {
    site.release("4-ddddddd", { "index.html": "front", "deploy.yml": "name: shop", "docs/deploy.yml": "an example" });
    await site.serve("2-bbbbbbb", {}, { release: join(site.top, "4-ddddddd"), root: "." });
  });

  test.each([
    ["/", 200],
    ["/docs/deploy.yml", 200],
    ["/deploy.yml", 404],
    ["/deploy%2eyml", 404],
    ["//deploy.yml", 404],
    ["/../4-ddddddd/index.html", 404],
    ["/../1-aaaaaaa/dist/index.html", 404],
  ])("%s is %d", async (path, status) => expect((await site.get(path)).status).toBe(status));
});

test("a name that looks hashed is so when a build made it, and nobody gave it", async () => {
  const names = ["index-GIHHxtsW.js", "icon-Ipv4Addr.svg", "other-CCCC3333.css"];
  site.release("5-eeeeeee", Object.fromEntries(["index.html", ...names].map((name) => [`dist/${name}`, name])));
  const kept = async (given?: string[] | null) => {
    const release = join(site.top, "5-eeeeeee");
    await site.serve("2-bbbbbbb", {}, given === undefined ? { release } : { release, given });
    const answers = await Promise.all(names.map((name) => site.get(`/${name}`)));
    return answers.map(({ headers }) => headers.get("cache-control")!.includes("immutable"));
  };
  expect(await kept([])).toEqual([true, true, true]);
  expect(await kept(["icon-Ipv4Addr.svg"])).toEqual([true, false, true]);
  for (const unknown of [null, undefined]) expect(await kept(unknown)).toEqual([false, false, false]);
});

describe("headers", () => {
  beforeAll(() =>
    site.serve("2-bbbbbbb", {
      notFound: "404.html",
      headers: {
        "/**": { "X-Frame-Options": "DENY", "X-Order": "first" },
        "/assets/*": { "Cache-Control": "max-age=60", "x-order": "second" },
      },
    }),
  );

  test.each([
    ["/", "DENY", "first", "no-cache"],
    ["/assets/app-BBBB2222.js", "DENY", "second", "max-age=60"],
    ["/assets/deep/x.txt", "DENY", "first", "no-cache"],
    // What is not there is not to be kept.
    ["/assets/missing.js", "DENY", "second", "no-cache"],
  ])("%s", async (path, frame, order, cache) => {
    const { headers } = await site.get(path);
    expect([headers.get("x-frame-options"), headers.get("x-order"), headers.get("cache-control")]).toEqual([
      frame,
      order,
      cache,
    ]);
  });

  test.each([
    ["/a/*", "/a/b", true],
    ["/a/*", "/a/b/c", false],
    ["/a/**", "/a/b/c", true],
    ["/*.js", "/x.js", true],
    ["/*.js", "/xjs", false],
    ["/a+(b)", "/a+(b)", true],
    ["/a", "/ab", false],
  ])("the pattern %s and %s: %p", (pattern, path, fits) => expect(patternOf(pattern).test(path)).toBe(fits));

  test("patterns fit what the expression for them fits", () => {
    const signs = ["a", "b", "/"];
    const texts = (length: number): string[] =>
      length === 0 ? [""] : texts(length - 1).flatMap((text) => signs.map((sign) => text + sign));
    const paths = [0, 1, 2, 3, 4, 5].flatMap(texts).map((text) => `/${text}`);
    const pieces = ["", "a", "/", "a/", "/b", "aa"];
    for (const head of pieces)
      for (const first of ["*", "**"])
        for (const middle of pieces.slice(1))
          for (const second of ["*", "**", ""])
            for (const tail of second === "" ? [""] : pieces) {
              const glob = `/${head}${first}${middle}${second}${tail}`;
              const source = glob.replace(/\*+/g, (star) => (star === "*" ? "[^/]*" : ".*"));
              const expression = new RegExp(`^${source}$`);
              const pattern = patternOf(glob);
              const wrong = paths.filter((path) => pattern.test(path) !== expression.test(path));
              expect([glob, wrong]).toEqual([glob, []]);
            }
  });

  test("a path of nothing but near misses costs no more than its length", () => {
    // Tried pair by pair this would take an hour.
    const path = `/${"x".repeat(2_000_000)}`;
    expect(patternOf(`/**x**${"y".repeat(150)}`).test(path)).toBe(false);
    expect(patternOf(`/**${"x".repeat(150)}y**z`).test(`${path}z`)).toBe(false);
  });
});

describe("the release before", () => {
  test("its hashed assets are there, its pages and plain files are not, and what is new wins", async () => {
    await site.serve("2-bbbbbbb", { spa: true }, older(hour(1)));
    const old = await site.get("/app-AAAA1111.js");
    expect([old.status, old.text, old.headers.get("content-type")]).toEqual([
      200,
      "old asset",
      "text/javascript; charset=utf-8",
    ]);
    expect((await site.get("/other-CCCC3333.css")).text).toBe("new style");
    for (const path of ["/old.html", "/plain.js"]) expect((await site.get(path)).status).toBe(404);
    await site.restart("SIGKILL");
    expect((await site.get("/app-AAAA1111.js")).text).toBe("old asset");
  });

  test("only until their time is over, and not when the release is gone", async () => {
    await site.serve("2-bbbbbbb", {}, older(hour(-1)));
    expect((await site.get("/app-AAAA1111.js")).status).toBe(404);
    await site.serve("2-bbbbbbb", {}, older(hour(1)));
    rmSync(join(site.top, "1-aaaaaaa"), { recursive: true });
    expect((await site.get("/app-AAAA1111.js")).status).toBe(404);
    await site.restart("SIGTERM");
    expect((await site.get("/")).text).toBe("front");
  });
});

test("one site starts and ends without a word to the other, whoever is connected", async () => {
  const [other, pid] = [await freePort(), site.pid()];
  await site.serve("2-bbbbbbb", {});
  const socket = connect(site.port, "127.0.0.1");
  const ask = () =>
    new Promise<string>((resolve, reject) => {
      socket.once("data", (data: Buffer) => resolve(data.toString().split("\r\n")[0]!));
      socket.once("close", () => reject(new Error("closed")));
      socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    });
  expect(await ask()).toBe("HTTP/1.1 200 OK");
  await site.serve("2-bbbbbbb", {}, { app: "other", port: other });
  expect(await (await fetch(`http://127.0.0.1:${other}/`)).text()).toBe("front");
  expect(await ask()).toBe("HTTP/1.1 200 OK");
  await site.remove("other", "2-bbbbbbb");
  await expect(fetch(`http://127.0.0.1:${other}/`)).rejects.toThrow();
  expect(await ask()).toBe("HTTP/1.1 200 OK");
  expect(site.pid()).toBe(pid);
  socket.destroy();
});

test("a site ends only when what is under way has ended, and idle connections do not hold it", async () => {
  const port = await freePort();
  site.release("3-ccccccc", { "dist/index.html": "x", "dist/big.bin": new Uint8Array(16 * 1024 * 1024) });
  await site.serve("3-ccccccc", {}, { app: "ending", port });
  const idle = connect(port, "127.0.0.1", () => idle.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  await new Promise((resolve) => idle.once("data", resolve));
  const reader = connect(port, "127.0.0.1", () => reader.write("GET /big.bin HTTP/1.1\r\nHost: x\r\n\r\n"));
  let read = 0;
  await new Promise((resolve) => reader.once("data", (data: Buffer) => resolve((read += data.length))));
  reader.pause();
  const removed = site.remove("ending", "3-ccccccc");
  await until("the end of new connections", () =>
    fetch(`http://127.0.0.1:${port}/`).then(
      () => false,
      () => true,
    ),
  );
  reader.on("data", (data: Buffer) => (read += data.length));
  reader.resume();
  await removed;
  await until("all of the file", () => read > 16 * 1024 * 1024);
  for (const socket of [idle, reader]) socket.destroy();
});

test("what is no HTTP, or half of it, harms nobody", async () => {
  const pid = site.pid();
  await site.serve("2-bbbbbbb", {});
  for (const text of ["\0\0\0\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "G".repeat(100_000)])
    await site.raw(text).catch(() => "");
  for (let count = 0; count < 20; count++)
    connect(site.port, "127.0.0.1", function (this: Socket) {
      this.on("error", () => undefined);
      this.write("GET / HTTP/1.1\r\nHost:");
      this.resetAndDestroy();
    });
  expect((await site.get("/")).status).toBe(200);
  expect(site.pid()).toBe(pid);
});
