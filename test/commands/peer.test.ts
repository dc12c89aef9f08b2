// dp peer and dp handover as another server or a key types them: how much they take, and what they tell.
import { describe, expect, test } from "bun:test";
import {
  appendFileSync,
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { plainEnv } from "../../lib/host/run.ts";
import { pipe } from "../../lib/host/process/libc.ts";
import { commit, dp, makeApp, useServer, type App } from "../support/core-server.ts";
import { makeRelease } from "../support/core-release.ts";

const server = useServer();
/** More than any disk has. */
const FULL = "minFree: 900000000g\n";
const TOO_MUCH = Buffer.alloc(1024 ** 2 + 1, " ");
const TWO_HOURS_AGO = Date.now() / 1000 - 2 * 60 * 60;

async function typed(words: readonly string[], stdin: Uint8Array | string) {
  const env = { ...plainEnv(), DP_ROOT: process.env["DP_ROOT"]! };
  const child = Bun.spawn([...dp, ...words], { env, stdin: Buffer.from(stdin), stdout: "pipe", stderr: "pipe" });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, out, err };
}

const git = (repo: string, words: readonly string[], stdin: Uint8Array | "ignore" = "ignore") =>
  Bun.spawnSync(["git", "--git-dir", repo, ...words], { env: plainEnv(), stdin }).stdout;
const limitOf = (app: App, bytes: number) => git(app.repo, ["config", "receive.maxInputSize", String(bytes)]);
/** What git has begun to write. */
const halves = (app: App) => readdirSync(join(app.repo, "objects/pack")).filter((name) => name.startsWith("tmp_"));
const tars = (app: App) => readdirSync(app.runs).filter((name) => name.endsWith(".tar"));
const has = (app: App, sha: string) => git(app.repo, ["cat-file", "-t", sha]).toString().trim() === "commit";

test.each([
  ["peer fits", (app: App) => ["peer", "fits", app.app]],
  ["handover ready", (app: App) => ["handover", app.app, "ready"]],
  ["handover begin", (app: App) => ["handover", app.app, "begin"]],
])("%s reads no more than 1 MiB", async (_, words) => {
  const { code, err } = await typed(words(await makeApp()), TOO_MUCH);
  expect([code, err]).toEqual([2, "dp: more than 1 MiB came on stdin: that is no order of dp\n"]);
});

describe("dp peer fits", () => {
  const libc = Bun.spawnSync(["getconf", "GNU_LIBC_VERSION"]).stdout.toString().trim();
  async function fits(app: App, runtime: { path?: string[]; dependencies?: string | null }) {
    const offer = { base: app.base, arch: process.arch, libc };
    const text = JSON.stringify({ ...offer, runtime: { path: [], env: {}, dependencies: null, ...runtime } });
    const { code, out, err } = await typed(["peer", "fits", app.app], text);
    expect([code, err]).toEqual([0, ""]);
    return JSON.parse(out) as { why: string | null; hasDependencies: boolean };
  }
  const made = (folder: string, mode = 0o755) => {
    mkdirSync(folder, { recursive: true });
    chmodSync(folder, mode);
    writeFileSync(`${folder}.json`, "{}");
    return folder;
  };

  test("tells of /usr, of dp's runtimes and of the app's own base, and of nothing else", async () => {
    const app = await makeApp();
    const own = made(join(app.base, "venvs/abc"));
    const runtime = made(server.path("opt/dp-runtimes/node-24"));
    const other = made(server.path("elsewhere"));
    expect(await fits(app, { path: ["/usr/bin", runtime, own], dependencies: own })).toEqual({
      why: null,
      hasDependencies: true,
    });
    const climbing = `${app.base}/../../../elsewhere`;
    for (const folder of [other, climbing, "/etc", "/usr/../etc", dirname(app.base), `${app.base}/none`])
      expect(await fits(app, { path: [folder], dependencies: folder })).toEqual({
        why: `it has no ${folder}`,
        hasDependencies: false,
      });
    expect((await fits(app, { path: ["/usr/\0"] })).why).toStartWith("it has no /usr/");
  });

  test.skipIf(process.getuid?.() !== 0)("as root it sees what the app's user sees", async () => {
    const app = await makeApp("user: nobody\n");
    for (let folder = app.base; folder.startsWith(server.path()); folder = dirname(folder)) chmodSync(folder, 0o755);
    const [open, closed] = [made(join(app.base, "venvs/open")), made(join(app.base, "venvs/closed/in"))];
    chmodSync(dirname(closed), 0o700);
    chmodSync(join(app.base, "venvs"), 0o755);
    expect((await fits(app, { dependencies: open })).hasDependencies).toBe(true);
    expect((await fits(app, { dependencies: closed })).hasDependencies).toBe(false);
    expect((await fits(app, { path: [closed] })).why).toBe(`it has no ${closed}`);
  });
});

describe("a part of a built release", () => {
  test("is kept, and those that no run came for within an hour are removed", async () => {
    const app = await makeApp();
    const { id } = await makeRelease(app, 3);
    for (const name of [`${id}.release.tar`, "4-aaaaaaa.release.tar", "5-aaaaaaa.dependencies.tar"]) {
      writeFileSync(join(app.runs, name), "old");
      if (!name.startsWith("5")) utimesSync(join(app.runs, name), TWO_HOURS_AGO, TWO_HOURS_AGO);
    }
    const { code, err } = await typed(["peer", "take", app.app, "6-aaaaaaa.release"], "an archive");
    expect([code, err]).toEqual([0, ""]);
    expect(readFileSync(join(app.runs, "6-aaaaaaa.release.tar"), "utf8")).toBe("an archive");
    expect(tars(app).sort()).toEqual([`${id}.release.tar`, "5-aaaaaaa.dependencies.tar", "6-aaaaaaa.release.tar"]);
  });

  test("is refused when the disk has no room for it", async () => {
    const app = await makeApp(FULL);
    const { code, err } = await typed(["peer", "take", app.app, "6-aaaaaaa.release"], "an archive");
    expect(code).toBe(8);
    expect(err).toContain("dp: the disk has no room for the files and for a deploy");
    expect(tars(app)).toEqual([]);
  });

  test("goes with its run, when that is refused", async () => {
    const app = await makeApp();
    const sha = await commit(app.repo, { a: "1" });
    const id = `10002-${sha.slice(0, 7)}`;
    await typed(["peer", "take", app.app, `${id}.release`], "an archive");
    const order = { v: 1, id, kind: "deploy", sha, subject: "Change", by: "ann", name: "b", lead: "a", roles: {} };
    const rest = { to: null, reason: "", changes: null, built: null, withEnv: false };
    const { code, out } = await typed(["peer", "run", app.app], `${JSON.stringify({ ...order, ...rest })}\n`);
    expect(code).toBe(8);
    expect(JSON.parse(out)).toMatchObject({
      is: "ended",
      code: 8,
      error: "a is at number 10002, and here the next one is 1: that is too far ahead",
    });
    expect(readdirSync(app.runs)).toEqual([]);
    expect(existsSync(join(app.base, "counter"))).toBe(false);
  });
});

describe("a commit of another server", () => {
  async function sent() {
    const from = await makeApp();
    const sha = await commit(from.repo, { a: crypto.getRandomValues(new Uint8Array(64 * 1024)) });
    const pack = git(from.repo, ["pack-objects", "--revs", "--stdout", "--quiet"], Buffer.from(`${sha}\n`));
    return { from, sha, pack };
  }

  test("is taken, unless it is larger than a push may be or the disk is full", async () => {
    const { sha, pack } = await sent();
    const app = await makeApp();
    const take = () => typed(["peer", "commit", app.app, sha], pack);
    limitOf(app, 16 * 1024);
    const large = await take();
    expect(large.code).toBe(6);
    expect(large.err).toContain("exceeds maximum allowed size");
    limitOf(app, 1024 ** 2);
    const config = readFileSync(app.config, "utf8");
    appendFileSync(app.config, FULL);
    const full = await take();
    expect(full.code).toBe(8);
    expect(full.err).toContain("dp: the disk has no room for the commit and for a deploy");
    expect([halves(app), has(app, sha)]).toEqual([[], false]);
    writeFileSync(app.config, config);
    expect(await take()).toEqual({ code: 0, out: "", err: "" });
    expect(has(app, sha)).toBe(true);
  });

  /** Lets an app fetch a commit, as a promotion does. */
  async function fetched(app: App, { from, sha }: { from: App; sha: string }) {
    const [[read, to], [readBack, back]] = [pipe(), pipe()];
    const env = { ...plainEnv(), DP_ROOT: process.env["DP_ROOT"]! };
    const serving = Bun.spawn([...dp, "handover", from.app, "commit"], { env, stdio: [readBack, to, "ignore"] });
    const taking = Bun.spawn([...dp, "handover", app.app, "take-commit", sha], { env, stdio: [read, back, "pipe"] });
    for (const fd of [read, to, readBack, back]) closeSync(fd);
    const [err, code] = await Promise.all([taking.stderr.text(), taking.exited]);
    await serving.exited;
    return { code, err };
  }

  test("that is promoted has the same limits, and its ref goes when no run came for an hour", async () => {
    const { from, sha } = await sent();
    const app = await makeApp();
    limitOf(app, 16 * 1024);
    expect((await fetched(app, { from, sha })).code).toBe(6);
    limitOf(app, 1024 ** 2);
    const config = readFileSync(app.config, "utf8");
    appendFileSync(app.config, FULL);
    expect((await fetched(app, { from, sha })).code).toBe(8);
    expect([halves(app), has(app, sha)]).toEqual([[], false]);
    writeFileSync(app.config, config);
    expect(await fetched(app, { from, sha })).toEqual({ code: 0, err: "" });
    const refs = () => git(app.repo, ["for-each-ref", "--format=%(refname)", "refs/dp"]).toString().trim();
    const ref = `refs/dp/promoted-${sha}`;
    expect(refs()).toBe(ref);
    const files = () => typed(["handover", app.app, "take-files", sha], "files");
    expect((await files()).code).toBe(0);
    expect(refs()).toBe(ref);
    const note = join(app.base, "promoted", `${sha}.commit`);
    utimesSync(note, TWO_HOURS_AGO, TWO_HOURS_AGO);
    expect((await files()).code).toBe(0);
    expect([refs(), existsSync(note)]).toEqual(["", false]);
  });
});
