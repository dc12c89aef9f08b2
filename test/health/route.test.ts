// The health route in the code of apps, as their frameworks have it.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { folderTree } from "../../lib/git/tree.ts";
import { healthRoute } from "../../lib/health/route.ts";

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "dp-route-"));
});
afterAll(() => rmSync(root, { recursive: true }));

async function routeOf(files: Record<string, string>) {
  const dir = mkdtempSync(join(root, "case-"));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), text);
  }
  return healthRoute(folderTree(dir));
}

test.each([
  ["flask", "app.py", '@app.route("/health")', "/health"],
  ["flask, single quotes", "app.py", "@app.get('/healthz')", "/healthz"],
  ["fastapi", "main.py", '@app.get("/api/v1/health")', "/api/v1/health"],
  ["django", "shop/urls.py", '    path("health/", views.health),', "/health/"],
  ["express", "server.js", "app.get('/health', (req, res) => res.send('ok'))", "/health"],
  ["node:http", "web.mjs", 'if (request.url === "/livez") return ok(response);', "/livez"],
  ["Bun.serve", "server.ts", '  routes: { "/up": new Response("ok") },', "/up"],
  ["Go in a Dockerfile's app", "main.go", 'http.HandleFunc("/readyz", ready)', "/readyz"],
  ["Next, app", "src/app/(site)/health/route.ts", "export const GET = ok;", "/health"],
  ["Next, pages", "pages/api/health.ts", "export default handler;", "/api/health"],
  ["SvelteKit", "src/routes/healthz/+server.ts", "export const GET = ok;", "/healthz"],
  ["Nuxt", "server/api/health.get.ts", "export default handler;", "/api/health"],
])("%s", async (_, file, text, path) => expect(await routeOf({ [file]: text })).toEqual({ path, file }));

describe("none is found in", () => {
  test.each([
    ["a client's call", "app.py", 'requests.get("/health")'],
    ["a fetch", "web.js", 'await fetch("/health")'],
    ["a comment", "app.py", '# GET "/health" was here'],
    ["a test", "tests/test_app.py", 'get("/health")'],
    ["a test beside it", "server.test.ts", 'app.get("/health")'],
    ["a longer path", "app.py", '@app.route("/health/insurance")'],
    ["an address", "app.py", 'url = "http://other/health"'],
    ["a page", "index.html", '<a href="/health">'],
    ["a file that is one long line", "bundle.js", `${"x".repeat(600)}app.get("/health")`],
    ["a route of many", "app/[shop]/health/route.ts", ""],
    ["text that is none", "app.py", "\u0000\ufffd"],
  ])("%s", async (_, file, text) => expect(await routeOf({ [file]: text })).toBe(null));

  test("an empty folder", async () => expect(await routeOf({})).toBe(null));

  test("bytes that are no text, and the file beside it is read", async () => {
    const dir = mkdtempSync(join(root, "case-"));
    writeFileSync(join(dir, "a.py"), Buffer.from([0x22, 0xff, 0xfe]));
    writeFileSync(join(dir, "b.py"), '@app.get("/health")');
    expect(readdirSync(dir)).toHaveLength(2);
    expect(await healthRoute(folderTree(dir))).toEqual({ path: "/health", file: "b.py" });
  });
});

test("what is there for this purpose goes before a ping, and the outer file before the inner", async () => {
  const files = { "a.py": '@app.get("/ping")', "z/b.py": '@app.get("/health")', "z/a/c.py": '@app.get("/api/health")' };
  expect(await routeOf(files)).toEqual({ path: "/health", file: "z/b.py" });
});
