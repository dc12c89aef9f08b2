// What a static site answers, asked of the real server byte by byte.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { until } from "../../support/sandbox.ts";
import { serveStatic, type Served } from "./support.ts";

let site: Served;
const BIG = 24 * 1024 * 1024;
const HALF = 200 * 1024;
const FILES = {
  "dist/index.html": "<h1>front</h1>",
  "dist/404.html": "<h1>nothing here</h1>",
  "dist/docs/index.html": "<h1>docs</h1>",
  "dist/empty/x.txt": "x",
  "dist/ä b.txt": "umlaut",
  "dist/style.css": "body{}",
  "dist/app.js": "let a = 1;".repeat(100),
  "dist/app.js.gz": gzipSync("let a = 1;".repeat(100)),
  "dist/app.js.br": "pretend this is brotli",
  "dist/assets/index-BQ3x9Zk1.js": "hashed",
  "dist/.env": "SECRET=1",
  "dist/.well-known/security.txt": "mail",
  "dist/sub/.hidden/x": "hidden",
  "dist/page.svg": "<svg/>",
  "dist/zero": "",
  "dist/half.bin": new Uint8Array(HALF).fill(7),
  "dist/big.bin": new Uint8Array(BIG).fill(7),
  "deploy.yml": "name: secret",
};

beforeAll(async () => {
  site = await serveStatic();
  site.release("1-aaaaaaa", FILES);
  await site.serve("1-aaaaaaa", { notFound: "404.html" });
});
afterAll(() => site.stop());

describe("files", () => {
  test.each([
    ["/", "<h1>front</h1>", "text/html; charset=utf-8", "no-cache"],
    ["/index.html", "<h1>front</h1>", "text/html; charset=utf-8", "no-cache"],
    ["/docs/", "<h1>docs</h1>", "text/html; charset=utf-8", "no-cache"],
    ["/style.css", "body{}", "text/css; charset=utf-8", "no-cache"],
    ["/style.css?v=1", "body{}", "text/css; charset=utf-8", "no-cache"],
    ["http://shop.example/style.css", "body{}", "text/css; charset=utf-8", "no-cache"],
    ["/page.svg", "<svg/>", "image/svg+xml; charset=utf-8", "no-cache"],
    ["/assets/index-BQ3x9Zk1.js", "hashed", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"],
    ["/%C3%A4%20b.txt", "umlaut", "text/plain; charset=utf-8", "no-cache"],
    ["/.well-known/security.txt", "mail", "text/plain; charset=utf-8", "no-cache"],
    ["/zero", "", "application/octet-stream", "no-cache"],
  ])("%s", async (path, text, type, cache) => {
    const { status, headers, text: got } = await site.get(path);
    expect([status, got, headers.get("content-type"), headers.get("cache-control")]).toEqual([200, text, type, cache]);
    expect(headers.get("content-length")).toBe(String(Buffer.byteLength(text)));
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("etag")).toMatch(/^"[^"]+"$/);
  });

  test("HEAD says the same, without the file", async () => {
    for (const path of ["/style.css", "/big.bin"]) {
      const [head, get] = [await site.get(path, {}, "HEAD"), await site.get(path, { Range: "bytes=0-0" })];
      expect([head.status, head.text]).toEqual([200, ""]);
      expect(head.headers.get("etag")).toBe(get.headers.get("etag"));
      expect(Number(head.headers.get("content-length"))).toBe(path === "/big.bin" ? BIG : 6);
    }
  });

  test("a folder leads to its page, with the query", async () => {
    const { status, headers } = await site.get("/docs?a=/b");
    expect([status, headers.get("location")]).toEqual([301, "/docs/?a=/b"]);
  });

  test.each(["POST", "PUT", "DELETE", "PATCH", "PROPFIND", "TRACE"])("%s is not allowed", async (method) => {
    const { status, headers } = await site.get("/", {}, method);
    expect([status, headers.get("allow")]).toEqual([405, "GET, HEAD, OPTIONS"]);
  });

  test("OPTIONS says what is", async () => {
    const { status, headers } = await site.get("/", {}, "OPTIONS");
    expect([status, headers.get("allow")]).toEqual([204, "GET, HEAD, OPTIONS"]);
  });
});

describe("nothing is found, listed or reached", () => {
  beforeAll(() => {
    const dist = join(site.top, "1-aaaaaaa/dist");
    symlinkSync("../deploy.yml", join(dist, "out.txt"));
    symlinkSync("/etc/passwd", join(dist, "passwd.txt"));
    symlinkSync("..", join(dist, "up"));
    symlinkSync("/proc/self/root", join(dist, "magic"));
    symlinkSync("/proc/self/environ", join(dist, "env"));
    symlinkSync("/opt", join(dist, "opt"));
    symlinkSync("pipe", join(dist, "pipe2"));
    symlinkSync("docs", join(dist, "in"));
    Bun.spawnSync(["mkfifo", join(dist, "pipe")]);
  });

  test.each([
    "/missing",
    "/empty/",
    "/empty",
    "/.env",
    "/sub/.hidden/x",
    "/sub/.well-known/x",
    "/../deploy.yml",
    "/docs/../../deploy.yml",
    "/%2e%2e/deploy.yml",
    "/..%2fdeploy.yml",
    "/..%5cdeploy.yml",
    "/..\\deploy.yml",
    "//etc/passwd",
    "/docs//index.html",
    "/style.css/",
    "/style.css%00.txt",
    "/out.txt",
    "/passwd.txt",
    "/up/deploy.yml",
    "/magic/etc/passwd",
    "/pipe",
    "/pipe2",
    "/env",
    "/opt/deployments",
    "/%2eenv",
    "/%252e%252e/deploy.yml",
    "/docs/..%2f..%2fdeploy.yml",
    "/docs\\..\\..\\deploy.yml",
    "//evil.example/",
    "//evil.example/..",
    "/.well-known/",
    "/index.html;x",
    "/%E2%80%AE",
    "/app.js/x",
    `/${"a".repeat(300)}`,
  ])("%s", async (path) => {
    const { status, text, headers } = await site.get(path);
    expect([status, text, headers.get("cache-control")]).toEqual([404, "<h1>nothing here</h1>", "no-cache"]);
    expect(headers.get("location")).toBeNull();
  });

  test.each([
    "/%ff",
    "/%zz",
    "/a%0ab",
    "/docs%0d%0aSet-Cookie:%20a=1",
    "/%c0%ae%c0%ae/deploy.yml",
    `/${"a/".repeat(2000)}`,
    "*",
  ])("%s is a bad request", async (path) => {
    expect((await site.get(path)).status).toBe(400);
  });

  test("a link that stays inside is a file like any other", async () => {
    expect((await site.get("/in/index.html")).text).toBe("<h1>docs</h1>");
  });

  test("a redirect leads to no other server", async () => {
    mkdirSync(join(site.top, "1-aaaaaaa/dist/evil.example"));
    writeFileSync(join(site.top, "1-aaaaaaa/dist/evil.example/index.html"), "x");
    expect((await site.get("//evil.example")).status).toBe(404);
    expect((await site.get("/evil.example")).headers.get("location")).toBe("/evil.example/");
  });

  test("a folder that is swapped for a link out, over and over, never shows what is outside", async () => {
    const at = join(site.top, "1-aaaaaaa/dist/swapped");
    let isOver = false;
    const swapping = (async () => {
      while (!isOver) {
        mkdirSync(at, { recursive: true });
        Bun.spawnSync(["rmdir", at]);
        symlinkSync("..", at);
        unlinkSync(at);
        await Bun.sleep(0);
      }
    })();
    for (let tries = 0; tries < 300; tries++) expect((await site.get("/swapped/deploy.yml")).status).toBe(404);
    isOver = true;
    await swapping;
  });
});

describe("what the client has already", () => {
  test("If-None-Match and If-Modified-Since", async () => {
    for (const path of ["/style.css", "/big.bin"]) {
      const { headers } = await site.get(path, {}, "HEAD");
      const [etag, modified] = [headers.get("etag")!, headers.get("last-modified")!];
      for (const tag of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
        const same = await site.get(path, { "If-None-Match": tag });
        expect([same.status, same.text, same.headers.get("etag")]).toEqual([304, "", etag]);
      }
      expect((await site.get(path, { "If-Modified-Since": modified })).status).toBe(304);
      // The tag decides, when there is one.
      const other = { "If-None-Match": '"other"', "If-Modified-Since": modified };
      expect((await site.get(path, other, "HEAD")).status).toBe(200);
      const old = { "If-Modified-Since": "Thu, 01 Jan 1998 00:00:00 GMT" };
      expect((await site.get(path, old, "HEAD")).status).toBe(200);
    }
  });

  test("another content of the same size and time has another tag", async () => {
    const path = join(site.top, "1-aaaaaaa/dist/same.txt");
    writeFileSync(path, "one");
    const first = (await site.get("/same.txt")).headers.get("etag");
    writeFileSync(path, "two");
    expect((await site.get("/same.txt")).headers.get("etag")).not.toBe(first);
  });
});

describe("parts", () => {
  test.each([
    ["bytes=0-1", 206, "bo", "bytes 0-1/6"],
    ["bytes=4-", 206, "{}", "bytes 4-5/6"],
    ["bytes=-2", 206, "{}", "bytes 4-5/6"],
    ["bytes=-99", 206, "body{}", "bytes 0-5/6"],
    ["bytes=0-99", 206, "body{}", "bytes 0-5/6"],
    ["bytes=6-", 416, "", "bytes */6"],
    ["bytes=-0", 416, "", "bytes */6"],
    ["bytes=2-1", 200, "body{}", null],
    ["bytes=a-b", 200, "body{}", null],
    ["bytes=0-1,3-4", 200, "body{}", null],
    ["lines=0-1", 200, "body{}", null],
    ["bytes=0-,0-,0-,0-", 200, "body{}", null],
    [`bytes=${Array.from({ length: 300 }, (_, at) => `${at}-${at}`).join(",")}`, 200, "body{}", null],
    ["bytes=99999999999999999999-", 200, "body{}", null],
    ["bytes=0-18446744073709551616", 200, "body{}", null],
  ])("%s", async (range, status, text, content) => {
    const answer = await site.get("/style.css", { Range: range });
    expect([answer.status, answer.text, answer.headers.get("content-range")]).toEqual([status, text, content]);
  });

  test("of a large file", async () => {
    const { status, text, headers } = await site.get("/big.bin", { Range: `bytes=${BIG - 3}-` });
    expect([status, text.length, headers.get("content-range")]).toEqual([206, 3, `bytes ${BIG - 3}-${BIG - 1}/${BIG}`]);
    expect((await site.get("/big.bin", { Range: `bytes=${BIG}-` })).status).toBe(416);
  });

  test("If-Range: only of what the client has", async () => {
    const etag = (await site.get("/style.css")).headers.get("etag")!;
    expect((await site.get("/style.css", { Range: "bytes=0-1", "If-Range": etag })).status).toBe(206);
    expect((await site.get("/style.css", { Range: "bytes=0-1", "If-Range": '"other"' })).status).toBe(200);
    expect((await site.get("/style.css", { Range: "bytes=0-1", "If-Range": `W/${etag}` })).status).toBe(200);
  });
});

describe("compressed copies", () => {
  test.each([
    ["br, gzip", "br"],
    ["gzip, br;q=0.5", "gzip"],
    ["gzip", "gzip"],
    ["gzip;q=0, br;q=0", null],
    ["*", "br"],
    ["identity", null],
    ["", null],
  ])("Accept-Encoding: %s", async (accept, encoding) => {
    const { headers, text } = await site.get("/app.js", { "Accept-Encoding": accept });
    expect([headers.get("content-encoding"), headers.get("vary")]).toEqual([encoding, "Accept-Encoding"]);
    expect(headers.get("content-type")).toBe("text/javascript; charset=utf-8");
    expect(text).toBe(
      readFileSync(
        join(site.top, `1-aaaaaaa/dist/app.js${encoding === "br" ? ".br" : encoding ? ".gz" : ""}`),
        "latin1",
      ),
    );
  });

  test("each has a tag of its own, and parts are of the file itself", async () => {
    const tags = await Promise.all(
      ["br", "gzip", ""].map(async (accept) =>
        (await site.get("/app.js", { "Accept-Encoding": accept })).headers.get("etag"),
      ),
    );
    expect(new Set(tags).size).toBe(3);
    const part = await site.get("/app.js", { "Accept-Encoding": "br", Range: "bytes=0-2" });
    expect([part.status, part.text, part.headers.get("content-encoding")]).toEqual([206, "let", null]);
  });

  test("without copies there is nothing to vary by", async () => {
    const { headers } = await site.get("/style.css", { "Accept-Encoding": "br" });
    expect([headers.get("content-encoding"), headers.get("vary")]).toEqual([null, null]);
  });
});

describe("requests ahead of their answers", () => {
  /** Sends all at once, and reads only after that; answers what came until the end. */
  async function ahead(paths: readonly string[], last = "Connection: close\r\n") {
    const requests = paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n`);
    const socket = connect(site.port, "127.0.0.1", () => socket.write(`${requests.join("\r\n")}${last}\r\n`));
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    await new Promise<void>((resolve) => socket.on("error", () => resolve()).on("close", () => resolve()));
    return Buffer.concat(chunks).toString("latin1");
  }

  test("are answered one after the other, large files among them", async () => {
    const paths = Array.from({ length: 60 }, (_, at) => ["/style.css", "/half.bin", "/app.js", "/nothing"][at % 4]!);
    const text = await ahead(["/big.bin", ...paths]);
    const lengths = [...text.matchAll(/\r\ncontent-length: (\d+)/gi)].map(([, length]) => Number(length));
    expect(lengths).toEqual([BIG, ...paths.map((_, at) => [6, HALF, 1_000, 21][at % 4]!)]);
    expect(text.length).toBeGreaterThan(BIG + 15 * HALF);
  });

  test("without end are refused, and cost no memory", async () => {
    const rss = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${site.pid()}/status`, "utf8"))![1]) / 1024;
    const before = rss();
    // The first answer takes longer than the server needs to read the requests.
    const text = await ahead(["/big.bin", ...new Array<string>(1_000).fill("/half.bin")], "");
    expect(text.length).toBeLessThan(BIG + 1_000 * HALF);
    expect(rss() - before).toBeLessThan(100);
    expect((await site.get("/")).status).toBe(200);
  });
});

test("many slow readers of a large file cost little memory, and leave no open file", async () => {
  const rss = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${site.pid()}/status`, "utf8"))![1]) / 1024;
  const open = () => [...new Bun.Glob("*").scanSync({ cwd: `/proc/${site.pid()}/fd`, onlyFiles: false })].length;
  const [before, files] = [rss(), open()];
  const readers = Array.from({ length: 20 }, () => {
    const socket = connect(site.port, "127.0.0.1", () => socket.write("GET /big.bin HTTP/1.1\r\nHost: x\r\n\r\n"));
    socket.once("data", () => socket.pause());
    return socket;
  });
  await until("the readers' start", () => readers.every((socket) => socket.bytesRead > 0));
  await Promise.all(Array.from({ length: 5 }, () => site.get("/big.bin")));
  expect(rss() - before).toBeLessThan(200);
  for (const socket of readers) socket.destroy();
  await until("the end of their files", () => open() <= files + 2);
});
