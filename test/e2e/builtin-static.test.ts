// A static site from push to push: nothing is started, nothing is lost, old assets stay for a while.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../support/port.ts";
import { pids, project, sandbox, until, type Sandbox } from "../support/sandbox.ts";
import { startLoad } from "../support/static-load.ts";

let box: Sandbox;
beforeAll(async () => {
  box = await sandbox();
});
afterAll(() => box.stop());

const yml = (more = "", options = "") =>
  `name: shop
type: static
healthCheck: {path: /, startTimeout: 5s, interval: 50ms}
build: mkdir dist && cp -r src/* dist
static:
  root: dist
  notFound: 404.html
${options}${more}`;

const FILES = {
  "deploy.yml": yml(),
  "server.py": null,
  say: null,
  "src/index.html": '<script src="/assets/app-AAAA1111.js"></script>',
  "src/404.html": "nothing here",
  "src/assets/app-AAAA1111.js": "first",
  "src/page.txt": "one",
};
const get = async (path: string, headers: Record<string, string> = {}) => {
  const answer = await fetch(`http://127.0.0.1:${box.port}${path}`, { headers, redirect: "manual" });
  return { status: answer.status, text: await answer.text(), headers: answer.headers };
};
const server = () => pids().filter((pid) => commandOf(pid).includes(`lib/apps/static/process.ts\0${box.root}`));
const commandOf = (pid: number) => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1");
  } catch {
    return "";
  }
};

let first: string;
test.each([
  ["an index", { "src/index.html": null }, "dist has no file index.html, and healthCheck asks for /"],
  ["its page for what is not there", { "src/404.html": null }, "dist has no file 404.html, and static.notFound"],
  [
    "the index of its router",
    { "deploy.yml": yml("", "  spa: true\n"), "src/index.html": null },
    "dist has no file index.html, and spa: true answers with it",
  ],
])("a site without %s is refused when it is built, and nothing serves", async (_, files, why) => {
  await box.commit({ ...FILES, ...files });
  const { code, text } = await box.push();
  expect(code).not.toBe(0);
  expect(text).toContain("FAILED at build");
  expect(text).toContain(why);
  expect(box.link("current")).toBeNull();
});

test("the first push: built, served, without a process of its own", async () => {
  first = await box.release(FILES);
  expect((await get("/page.txt")).text).toBe("one");
  expect(await get("/none")).toMatchObject({ status: 404, text: "nothing here" });
  expect(box.instances()).toEqual({});
  expect(server().length).toBe(1);
  const { text } = await box.dp("status", "shop");
  expect(text).toContain("healthy");
});

let second: string;
test("the second: the same server, and the hashed assets of the first are still there", async () => {
  const before = server();
  second = await box.release({
    "src/index.html": '<script src="/assets/app-BBBB2222.js"></script>',
    "src/assets/app-AAAA1111.js": null,
    "src/assets/app-BBBB2222.js": "second",
    "src/page.txt": null,
    "src/old.html": null,
  });
  expect(server()).toEqual(before);
  expect((await get("/")).text).toContain("BBBB2222");
  expect((await get("/assets/app-BBBB2222.js")).text).toBe("second");
  expect(await get("/assets/app-AAAA1111.js")).toMatchObject({ status: 200, text: "first" });
  expect((await get("/page.txt")).status).toBe(404);
});

test("a failed build changes nothing", async () => {
  await box.commit({ "deploy.yml": yml().replace("mkdir dist &&", "exit 3;") });
  const { code, text } = await box.push();
  expect(code).not.toBe(0);
  expect(text).toContain("FAILED at build");
  expect(box.link("current")).toBe(second);
  expect((await get("/")).text).toContain("BBBB2222");
});

test("a build without the folder is told as what it is", async () => {
  await box.commit({ "deploy.yml": yml().replace("mkdir dist && cp -r src/* dist", "echo nothing") });
  const { code, text } = await box.push();
  expect(code).not.toBe(0);
  expect(text).toContain("static.root in deploy.yml is dist, but there is no such folder");
  expect(text).toContain("static.root in deploy.yml");
  expect((await get("/")).text).toContain("BBBB2222");
});

test("a folder that the build made a link out of the release is not served", async () => {
  await box.commit({ "deploy.yml": yml().replace("mkdir dist && cp -r src/* dist", "ln -s /etc dist") });
  const { code } = await box.push();
  expect(code).not.toBe(0);
  expect((await get("/passwd")).status).toBe(404);
  await box.commit({ "deploy.yml": yml() });
});

test("rollback and back again, with the assets of both", async () => {
  expect((await box.dp("rollback", "shop")).code).toBe(0);
  expect(box.link("current")).toBe(first);
  expect((await get("/")).text).toContain("AAAA1111");
  expect((await get("/assets/app-BBBB2222.js")).text).toBe("second");
  expect((await box.dp("rollback", "shop", second)).code).toBe(0);
  expect((await get("/")).text).toContain("BBBB2222");
});

test("a restart serves the same files, as a release of its own", async () => {
  const before = box.link("current")!;
  const page = (await get("/page.txt")).text;
  const { code, text } = await box.dp("restart", "shop");
  expect(`${code} ${text}`).toContain("live: shop");
  expect(code).toBe(0);
  expect(box.link("current")).not.toBe(before);
  expect((await get("/page.txt")).text).toBe(page);
  expect((await box.dp("rollback", "shop", before)).code).toBe(0);
});

test("new settings are said to count from the next build on", async () => {
  const before = (await get("/page.txt")).text;
  const { code, text } = await box.dp("env", "shop", "set", "VITE_API=/v2");
  expect([code, text]).toEqual([
    0,
    expect.stringContaining("dp: a site takes settings when it is built: dp deploy shop\n"),
  ]);
  expect((await get("/page.txt")).text).toBe(before);
  expect((await box.dp("env", "shop", "unset", "VITE_API")).code).toBe(0);
});

test("of a site that nothing builds that is not said", async () => {
  const before = box.link("current")!;
  await box.release({
    "deploy.yml": yml()
      .replace(/^build: .*\n/m, "")
      .replace("root: dist", "root: src"),
  });
  const { code, text } = await box.dp("env", "shop", "set", "VITE_API=/v3");
  expect([code, text]).toEqual([0, expect.not.stringMatching(/built|builds/)]);
  expect((await box.dp("env", "shop", "unset", "VITE_API")).code).toBe(0);
  await box.release({ "deploy.yml": yml() });
  expect((await box.dp("rollback", "shop", before)).code).toBe(0);
});

test("a warm rollback is nothing but a switch", async () => {
  appendFileSync(join(box.base, "config.yml"), "keepWarm: 10m\n");
  const before = box.link("current");
  await box.release({ "src/page.txt": "warm" });
  const { code, text } = await box.dp("rollback", "shop");
  expect(`${code} ${text}`).toContain("still warm");
  expect(box.link("current")).toBe(before);
});

test("killed, the server comes back by itself with all that it served", async () => {
  const [pid] = server();
  process.kill(pid!, "SIGKILL");
  await until("the server's return", async () => {
    const now = server();
    if (now.length === 0 || now[0] === pid) return false;
    return get("/").then(
      ({ status }) => status === 200,
      () => false,
    );
  });
  expect((await get("/assets/app-BBBB2222.js")).text).toBe("second");
});

test("with its supervisor gone as after a reboot, reconcile starts it again", async () => {
  for (const pid of pids().filter((each) => commandOf(each).includes(`${box.root}/var/lib/dp/static`)))
    process.kill(pid, "SIGKILL");
  expect((await box.dp("status", "shop")).text).toContain("the static server does not run");
  expect((await box.dp("reconcile", "shop")).code).toBe(0);
  expect((await get("/")).text).toContain("BBBB2222");
});

describe("under load", () => {
  test("three deploys lose no request", async () => {
    await box.release({ "src/page.txt": "before" });
    const load = startLoad(box.port, ["/", "/assets/app-BBBB2222.js", "/page.txt"]);
    for (const text of ["a", "b", "c"]) await box.release({ "src/page.txt": text });
    const { requests, failed } = await load.stop();
    expect(failed).toEqual([]);
    expect(requests).toBeGreaterThan(100);
  });
});

test("what was pruned is served no more, and the rest is untouched", async () => {
  const config = join(box.base, "config.yml");
  writeFileSync(config, `${readFileSync(config, "utf8").replace("keepWarm: 10m\n", "")}keep: 1\n`);
  // Those that are warm still have some minutes.
  const instances = join(box.base, "instances");
  for (const file of new Bun.Glob("*.warm").scanSync({ cwd: instances })) rmSync(join(instances, file));
  for (const text of ["d", "e", "f"]) await box.release({ "src/page.txt": text });
  expect((await get("/page.txt")).text).toBe("f");
  expect((await get("/assets/app-BBBB2222.js")).text).toBe("second");
  expect(await box.dp("doctor", "shop")).toMatchObject({ code: 0, stdout: "nothing wrong: shop\n" });
  const sites = [...new Bun.Glob("*.json").scanSync({ cwd: join(box.root, "var/lib/dp/static/sites") })];
  expect(sites).toContain(`shop@${box.link("current")}.json`);
  expect(sites.length).toBe(1);
});

test("a page is found without its ending, and what the build names is kept when it looks hashed", async () => {
  const build = "cp dist/page.svg dist/assets/index-GIHHxtsW.svg; cp src/about.htm dist/about.html";
  await box.release({
    "deploy.yml": yml().replace("src/* dist", `src/* dist; ${build}`),
    "src/about.htm": "about us",
    "src/page.svg": "drawn",
    "src/assets/icon-Ipv4Addr.svg": "drawn by hand",
  });
  expect(await get("/about")).toMatchObject({ status: 200, text: "about us" });
  const kept = async (path: string) => (await get(path)).headers.get("cache-control");
  expect(await kept("/assets/index-GIHHxtsW.svg")).toContain("immutable");
  expect(await kept("/assets/icon-Ipv4Addr.svg")).toBe("no-cache");
  expect((await box.dp("restart", "shop")).code).toBe(0);
  expect(await kept("/assets/index-GIHHxtsW.svg")).toContain("immutable");
});

test("root: . serves the commit itself, but for deploy.yml", async () => {
  const whole = yml()
    .replace(/^build: .*\n/m, "")
    .replace("root: dist", "root: .");
  await box.release({ "deploy.yml": whole, "index.html": "the top", "404.html": "nothing at the top" });
  expect((await get("/")).text).toBe("the top");
  expect((await get("/src/page.txt")).text).toBe("f");
  expect(await get("/deploy.yml")).toMatchObject({ status: 404, text: "nothing at the top" });
  await box.commit({ "index.html": null });
  expect((await box.push()).text).toContain("the app's folder has no file index.html, and healthCheck asks for /");
});

test("the example, as dp init writes it", async () => {
  const dir = join(box.root, "../example");
  mkdirSync(dir);
  const init = [process.execPath, join(project, "bin/dp"), "init", "--example", "static", "--name", "shop"];
  expect(Bun.spawnSync(init, { cwd: dir, env: box.env }).exitCode).toBe(0);
  const names = [...new Bun.Glob("**/*").scanSync({ cwd: dir })];
  await box.release(Object.fromEntries(names.map((name) => [name, readFileSync(join(dir, name), "utf8")])));
  expect((await get("/")).text).toContain("It works");
  expect((await get("/style.css")).headers.get("content-type")).toBe("text/css; charset=utf-8");
  const missing = await get("/none");
  expect([missing.status, missing.text.includes("To the front page")]).toEqual([404, true]);
  const { code, text } = await box.dp("logs", "shop");
  expect(`${code} ${text}`).toMatch(/^0 \d{4}-\S+ web\[\S+\]: serves /);
  await box.release({ ...FILES, "src/page.txt": "f" });
});

test("to another type and back: each manager ends its own", async () => {
  const site = box.link("current");
  const python = `name: shop\ntype: python\nhealthCheck: /\ncommand: exec python3 -m http.server --bind $DP_HOST $PORT\n`;
  await box.release({ "deploy.yml": python });
  expect(Object.keys(box.instances())).toEqual([box.link("current")!]);
  // No other app is static.
  expect(server()).toEqual([]);
  expect((await box.dp("rollback", "shop", site!)).code).toBe(0);
  expect((await get("/page.txt")).text).toBe("f");
  expect(server().length).toBe(1);
});

test("one that is stopped takes the server with it, and dp start brings both back", async () => {
  expect((await box.dp("stop", "shop")).code).toBe(0);
  expect(server()).toEqual([]);
  expect(await box.dp("doctor", "shop")).toMatchObject({ code: 0, stdout: expect.stringContaining("→ dp start shop") });
  expect((await box.dp("start", "shop")).code).toBe(0);
  expect([server().length, (await get("/page.txt")).text]).toEqual([1, "f"]);
});

test("with the last static app the server ends; with another it stays", async () => {
  const [repo, code] = [join(box.root, "var/repos/second.git"), join(box.root, "../second")];
  const port = String(await freePort());
  expect((await box.dp("setup", "second", "--manager", "builtin", "--port", port)).code).toBe(0);
  await box.git("clone", "--quiet", box.code, code);
  writeFileSync(join(code, "deploy.yml"), yml().replace("name: shop", "name: second"));
  const there = (...words: string[]) => box.git("-C", code, ...words);
  expect((await there("commit", "--quiet", "--all", "-m", "Be the second")).code).toBe(0);
  expect(await there("push", repo, "HEAD:refs/heads/main")).toMatchObject({ code: 0 });
  const before = server();
  expect((await box.dp("destroy", "second", "--yes")).text).not.toContain("static server");
  expect([server(), (await get("/page.txt")).text]).toEqual([before, "f"]);
});

test.skipIf(Bun.which("haproxy", { PATH: "/usr/sbin:/usr/bin" }) === null)("behind HAProxy as well", async () => {
  expect((await box.dp("setup", "shop", "--front", "haproxy")).code).toBe(0);
  await box.release({ ...FILES, "src/page.txt": "haproxy" });
  const load = startLoad(box.port, ["/", "/page.txt"]);
  await box.release({ "src/page.txt": "haproxy two" });
  const { failed, requests } = await load.stop();
  expect(failed).toEqual([]);
  expect(requests).toBeGreaterThan(20);
  expect((await get("/page.txt")).text).toBe("haproxy two");
});

describe("without a front", () => {
  let alone: Sandbox;
  beforeAll(async () => {
    alone = await sandbox("alone", "none");
  });
  afterAll(() => alone.stop());

  test("the static server has the public port itself, and hands it from release to release", async () => {
    const files = { ...FILES, "deploy.yml": yml().replace("name: shop", "name: alone") };
    const one = await alone.release(files);
    expect(await alone.answer("/page.txt")).toBe("one");
    await alone.release({ "src/page.txt": "two" });
    expect(await alone.answer("/page.txt")).toBe("two");
    await alone.commit({ "src/index.html": null });
    expect((await alone.push()).code).not.toBe(0);
    expect(await alone.answer("/page.txt")).toBe("two");
    expect((await alone.dp("rollback", "alone", one)).code).toBe(0);
    expect(await alone.answer("/page.txt")).toBe("one");
    const servers = () => pids().filter((pid) => commandOf(pid).includes(`lib/apps/static/process.ts\0${alone.root}`));
    expect(servers().length).toBe(1);
    expect((await alone.dp("destroy", "alone", "--yes")).text).toContain(
      "stopped the static server, which had no app left",
    );
    expect(servers()).toEqual([]);
  });
});
