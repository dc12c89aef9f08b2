// The page's server and its files: who gets in, what the policy allows, and what is left when it is killed.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { documentOf } from "../../lib/commands/fleet.ts";
import { openFolder } from "../../lib/fleet/out.ts";
import { pageOf } from "../../lib/fleet/page.ts";
import { serveWeb, type Web } from "../../lib/fleet/web.ts";
import { dp } from "../support/core-server.ts";
import { sshdUnavailable } from "../support/sshd.ts";
import { until } from "../support/sandbox.ts";
import { demoFleet } from "./support/demo.ts";
import { prints, processesWith, startFleet, type Fleet } from "./support/fleet.ts";
import { appWith, NOW, reportWith } from "./support/fleets.ts";

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

/** A request with exactly these headers; of an endless answer, its beginning. */
function ask(port: number, path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const asked = request({ host: "127.0.0.1", port, path, method, headers }, (answer) => {
    let body = "";
    const done = () => resolve({ status: answer.statusCode!, headers: answer.headers, body });
    answer.setEncoding("utf8");
    answer.on("data", (chunk: string) => {
      body += chunk;
      if (!body.endsWith("\n\n") || answer.headers["content-type"]?.includes("event-stream") !== true) return;
      done();
      asked.destroy();
    });
    answer.on("end", done);
  });
  asked.on("error", reject);
  asked.end();
  return promise;
}

describe("the page's server", () => {
  let web: Web;
  let port: number;
  let document = documentOf(demoFleet(), NOW);
  beforeAll(async () => {
    web = await serveWeb(() => document, 0);
    port = Number(new URL(web.url).port);
  });
  afterAll(() => web?.stop());
  const login = () => ask(port, new URL(web.url).pathname + new URL(web.url).search);
  let cookie = "";

  test("lets nobody in without the token", async () => {
    for (const path of ["/", "/events", "/fleet.json", "/?t=", `/?t=${"0".repeat(32)}`, `/${new URL(web.url).search}x`])
      expect((await ask(port, path)).status).toBe(403);
    expect(new URL(web.url).searchParams.get("t")).toMatch(/^[0-9a-f]{32}$/);
    expect((await ask(port, `/${new URL(web.url).search}`, {}, "HEAD")).status).toBe(403);
  });

  test("gives a cookie for the token, once", async () => {
    const first = await login();
    expect(first.status).toBe(303);
    expect(first.headers["location"]).toBe("/");
    const [set] = first.headers["set-cookie"] as string[];
    expect(set).toMatch(/^dp-fleet-\d+=[0-9a-f]{32}; HttpOnly; SameSite=Strict; Path=\/$/);
    cookie = set!.split(";")[0]!;
    expect((await login()).status).toBe(403);
  });

  test.each([
    ["the page", "/", 200],
    ["the events", "/events", 200],
    ["anything else", "/etc/passwd", 404],
    ["the template's name", "/fleet.html", 404],
  ])("with the cookie: %s", async (_, path, status) => {
    const { status: given, headers } = await ask(port, path, { Cookie: `a=b; ${cookie}` });
    expect(given).toBe(status);
    expect(headers).toMatchObject({
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "cache-control": "no-store",
    });
  });

  test.each([
    ["another host", { Host: "evil.example" }, "GET", 403],
    ["another port", { Host: "127.0.0.1:1" }, "GET", 403],
    ["another origin", { Origin: "http://evil.example" }, "GET", 403],
    ["no origin", { Origin: "null" }, "GET", 403],
    ["a cookie of another value", { Cookie: "dp-fleet=1" }, "GET", 403],
    ["POST", {}, "POST", 405],
    ["DELETE", {}, "DELETE", 405],
    ["OPTIONS", {}, "OPTIONS", 405],
  ])("refuses %s", async (_, headers, method, status) => {
    for (const path of ["/", "/events"])
      expect((await ask(port, path, Object.assign({ Cookie: cookie }, headers), method)).status).toBe(status);
  });

  test("answers as localhost, and to its own origin", async () => {
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`])
      expect((await ask(port, "/", { Cookie: cookie, Host: host, Origin: `http://${host}` })).status).toBe(200);
  });

  test("listens on 127.0.0.1 alone", () => {
    const lines = readFileSync("/proc/net/tcp", "utf8").split("\n");
    const hex = port.toString(16).toUpperCase().padStart(4, "0");
    const own = lines.filter((line) => new RegExp(`:${hex} 00000000:0000 0A`).test(line));
    expect(own.map((line) => line.trim().split(/\s+/)[1])).toEqual([`0100007F:${hex}`]);
  });

  test("sends the document at once, and again when something changed", async () => {
    const response = await fetch(`http://127.0.0.1:${port}/events`, { headers: { Cookie: cookie } });
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    const events = () => text.split("\n\n").slice(0, -1);
    const read = async (count: number) => {
      while (events().length < count) text += (await reader.read()).value ?? "";
      return JSON.parse(events()[count - 1]!.slice("data: ".length)) as typeof document;
    };
    expect((await read(1)).now).toBe(NOW);
    document = documentOf(demoFleet(), NOW + 5);
    web.changed();
    expect((await read(2)).now).toBe(NOW + 5);
    await reader.cancel();
  });
});

test("a port that is taken is named", async () => {
  const other = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("") });
  expect(serveWeb(() => null, other.port!)).rejects.toThrow(`port ${other.port} cannot be listened on`);
  await other.stop(true);
});

describe("the file", () => {
  test.each(["events", "file"] as const)(
    "for %s is small, and its policy allows its own script alone",
    async (from) => {
      const { html, policy } = await pageOf(from);
      expect(Buffer.byteLength(html)).toBeLessThanOrEqual(40 * 1024);
      const scripts = [...html.matchAll(/<script[^>]*>(.*?)<\/script>/gs)];
      expect(scripts.length).toBe(1);
      const hash = new Bun.CryptoHasher("sha256").update(scripts[0]![1]!).digest("base64");
      expect(policy).toBe(
        `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${hash}'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
      );
      expect(html).toContain(`content="${policy.replace("; frame-ancestors 'none'", "")}"`);
      expect(html).toContain(`data-from="${from}"`);
      expect(html).not.toMatch(
        /https?:|\burl\(|@import|@font-face|\bsrc=|\bhref=|innerHTML|insertAdjacent|\beval\b|\son\w+=/,
      );
    },
  );
});

describe.skipIf(sshdUnavailable() !== null)("dp fleet", () => {
  let fleet: Fleet;
  beforeAll(async () => {
    fleet = await startFleet("ams-1");
    prints(fleet, "ams-1", reportWith([appWith("shop")]));
    fleet.list("ams-1");
  }, 60_000);
  afterAll(() => fleet?.stop());

  test("--web serves what it asks for, and Ctrl-C leaves no ssh", async () => {
    const child = Bun.spawn([...dp, "fleet", "--web", "--no-open"], {
      ...{ cwd: "/", env: fleet.env, stdin: "ignore", stdout: "pipe", stderr: "pipe" },
    });
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const url = new URL((await reader.read()).value!.trim());
    const first = await ask(Number(url.port), `/${url.search}`);
    const cookie = (first.headers["set-cookie"] as string[])[0]!.split(";")[0]!;
    const documents = async () =>
      JSON.parse((await ask(Number(url.port), "/events", { Cookie: cookie })).body.slice(6)) as ReturnType<
        typeof documentOf
      >;
    await until("the server has answered", async () => (await documents()).sentence.rest === "The one app is well");
    fleet.script("ams-1", "exit 127");
    await until("the failure is known", async () => (await documents()).servers[0]!.error !== null);
    const { servers, sentence } = await documents();
    expect(servers[0]).toMatchObject({ error: "dp is not installed there", report: { host: "vm" } });
    expect(sentence.bad).toEqual(["1 unknown"]);
    expect(processesWith(`${fleet.folder}/dp-fleet-`).length).toBeGreaterThan(0);
    child.kill("SIGINT");
    expect(await child.exited).toBe(0);
    expect(processesWith(`${fleet.folder}/dp-fleet-`)).toEqual([]);
  });

  test("--out writes two files for the web server's group, whole at any time", async () => {
    prints(fleet, "ams-1", reportWith(Array.from({ length: 40 }, (_, at) => appWith(`app-${at}`))));
    const out = join(fleet.folder, "out");
    expect((await fleet.dp("fleet", "--out", out)).code).toBe(0);
    for (const name of ["index.html", "fleet.json"]) expect(statSync(join(out, name)).mode & 0o777).toBe(0o640);
    const whole = () => {
      expect(JSON.parse(readFileSync(join(out, "fleet.json"), "utf8"))).toMatchObject({ v: 1 });
      expect(readFileSync(join(out, "index.html"), "utf8")).toEndWith("</html>\n");
    };
    whole();
    const child = Bun.spawn([...dp, "fleet", "--out", out, "--every", "5s"], {
      cwd: "/",
      env: fleet.env,
      stdout: "ignore",
    });
    const before = statSync(join(out, "fleet.json")).ino;
    await until("it has written again", () => statSync(join(out, "fleet.json")).ino !== before);
    child.kill("SIGKILL");
    await child.exited;
    whole();
    const other = Bun.spawn([...dp, "fleet", "--out", out, "--every", "5s"], {
      cwd: "/",
      env: fleet.env,
      stdout: "ignore",
    });
    const again = statSync(join(out, "fleet.json")).ino;
    await until("it has written again", () => statSync(join(out, "fleet.json")).ino !== again);
    other.kill("SIGTERM");
    expect(await other.exited).toBe(0);
    whole();
    // Of the one that was killed, its connection ends by itself.
    for (const pid of processesWith(`${fleet.folder}/dp-fleet-`)) process.kill(pid, "SIGKILL");
  });

  test.each([
    [["--every", "1s"], "must be a time from 5s"],
    [["--every", "x"], "must be a time from 5s"],
  ])("--out with %j is a mistake", async (words, message) => {
    const { code, err } = await fleet.dp("fleet", "--out", join(fleet.folder, "no"), ...words);
    expect(code).toBe(2);
    expect(err).toContain(message);
  });

  test("--out over a file is a mistake, --port takes a number", async () => {
    const { code, err } = await fleet.dp("fleet", "--out", fleet.file);
    expect(code).toBe(2);
    expect(err).toContain("is not a folder");
    expect((await fleet.dp("fleet", "--web", "--port", "x")).code).toBe(2);
  });
});

test("killed at any time, the writer of the files leaves each whole", async () => {
  const folder = mkdtempSync(join(tmpdir(), "dp-out-"));
  try {
    const module = JSON.stringify(join(import.meta.dir, "../../lib/fleet/out.ts"));
    const program = `const { openFolder } = await import(${module}); const put = await openFolder(${JSON.stringify(folder)});
      console.log("ready"); for (let now = 0; ; now++) await put({ v: 1, now, much: "x".repeat(300_000) });`;
    for (const wait of [1, 7, 19, 33, 51]) {
      const child = Bun.spawn([process.execPath, "-e", program], { stdout: "pipe" });
      await child.stdout.getReader().read();
      await Bun.sleep(wait); // a place that differs each time, not an event
      child.kill("SIGKILL");
      await child.exited;
      expect(readFileSync(join(folder, "index.html"), "utf8")).toEndWith("</html>\n");
      const json = await Bun.file(join(folder, "fleet.json"))
        .text()
        .catch(() => "null");
      expect(() => JSON.parse(json)).not.toThrow();
    }
    mkdirSync(join(folder, "x"));
    writeFileSync(join(folder, "fleet.json.tmp.999999"), "half");
    await openFolder(folder);
    expect([...new Bun.Glob("*.tmp.*").scanSync(folder)]).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
