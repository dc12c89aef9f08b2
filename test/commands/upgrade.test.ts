// `dp upgrade` of a real installation in a temp prefix: what it replaces, refuses, and leaves when it is killed.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, realpathSync, rmSync } from "node:fs";
import { appendFileSync, cpSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { until } from "../support/box.ts";
import { freePort } from "../support/port.ts";

const project = resolve(import.meta.dir, "../..");
const { version } = (await Bun.file(join(project, "package.json")).json()) as { version: string };

let dir: string;
beforeAll(async () => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), "dp-upgrade-")));
  const made = await run(join(project, "install.sh"), "--prefix", prefix());
  expect(made).toMatchObject({ code: 0 });
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const prefix = () => join(dir, "prefix");
const dp = () => join(prefix(), "bin/dp");
const trees = () => readdirSync(join(prefix(), "share/dp.d")).filter((name) => name !== ".lock");
const env = () => ({ PATH: process.env["PATH"]!, HOME: dir, DP_BUN: process.execPath, DP_ROOT: join(dir, "root") });

function start(...argv: string[]) {
  return Bun.spawn(argv, { cwd: "/", env: env(), stdin: "ignore", stdout: "pipe", stderr: "pipe" });
}

async function run(...argv: string[]) {
  const child = start(...argv);
  const [code, out, err] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
  return { code, out, text: out + err };
}

/** The sources of a dp of another version. */
function source(other: string): string {
  const at = join(dir, `dp-${other}`);
  const parts = ["bin", "lib", "steps", "templates", "docs", "package.json", "bun.lock", "install.sh"];
  for (const part of parts) cpSync(join(project, part), join(at, part), { recursive: true });
  symlinkSync(join(project, "node_modules"), join(at, "node_modules"));
  const text = readFileSync(join(at, "package.json"), "utf8");
  writeFileSync(join(at, "package.json"), text.replace(`"version": "${version}"`, `"version": "${other}"`));
  return at;
}

test("a folder without dp, and a dp that is not installed, are refused", async () => {
  expect(await run(dp(), "upgrade", dir)).toMatchObject({ code: 2, text: expect.stringContaining("holds no dp") });
  const clone = await run(process.execPath, "--no-install", join(project, "bin/dp"), "upgrade", project);
  expect(clone).toMatchObject({ code: 2, text: expect.stringContaining("is not installed") });
});

test("an upgrade that is killed leaves the dp from before, and the next one goes through and tidies up", async () => {
  const at = source("99.0.0");
  const bundler = readFileSync(join(at, "lib/bundle/bundle.ts"), "utf8");
  const sign = join(dir, "building");
  const wait = `await Bun.write(${JSON.stringify(sign)}, (await Bun.file("/proc/self/stat").text()).replace(/^.*\\) . \\d+ /s, ""));\nawait Bun.sleep(600_000);\n`;
  writeFileSync(join(at, "lib/bundle/bundle.ts"), wait);
  const before = readlinkSync(join(prefix(), "share/dp"));
  const upgrade = start(dp(), "upgrade", at);
  await until("install.sh builds", () => existsSync(sign) && readFileSync(sign, "utf8") !== "");
  upgrade.kill("SIGKILL");
  process.kill(-Number.parseInt(readFileSync(sign, "utf8"), 10), "SIGKILL");
  await upgrade.exited;
  expect(trees()).toHaveLength(2);
  expect(readlinkSync(join(prefix(), "share/dp"))).toBe(before);
  expect((await run(dp(), "--version")).out).toContain(`dp ${version}`);

  writeFileSync(join(at, "lib/bundle/bundle.ts"), bundler);
  const done = await run(dp(), "upgrade", at);
  expect(done).toMatchObject({ code: 0, text: expect.stringContaining("dp 99.0.0 has replaced") });
  expect((await run(dp(), "--version")).out).toStartWith("dp 99.0.0");
  expect(trees().sort()).toEqual(
    [before, readlinkSync(join(prefix(), "share/dp"))].map((path) => path.split("/")[1]!).sort(),
  );
});

test("a dp that does not start, or cannot be built, is not installed", async () => {
  const at = source("99.1.0");
  writeFileSync(join(at, "lib/cli.ts"), `throw new Error("broken on purpose");\n`);
  expect(await run(dp(), "upgrade", at)).toMatchObject({
    code: 6,
    text: expect.stringContaining("dp 99.1.0 does not start here"),
  });
  expect((await run(dp(), "--version")).out).toStartWith("dp 99.0.0");
});

test("an older dp is refused, and installed when that is wanted", async () => {
  expect(await run(dp(), "upgrade", project)).toMatchObject({
    code: 2,
    text: expect.stringContaining(`is ${version}, older than the installed 99.0.0`),
  });
  expect((await run(dp(), "--version")).out).toStartWith("dp 99.0.0");
  const back = await run(dp(), "upgrade", "--downgrade", project);
  expect(back).toMatchObject({ code: 0, text: expect.stringContaining("dp setup APP writes them anew") });
  expect((await run(dp(), "--version")).out).toContain(`dp ${version}`);
});

test("a dp so old that it is no program of its own is still what hooks and units start", async () => {
  const at = source("0.0.1");
  const installer = join(at, "install.sh");
  let text = readFileSync(installer, "utf8");
  for (const [now, then] of [
    ['    make_bundle "$1"\n', ""],
    ['"$stage/bundle/dp" --version', 'hardened "$stage/bin/dp" --version'],
  ] as const) {
    expect(text).toContain(now);
    text = text.replace(now, then);
  }
  writeFileSync(installer, text);
  expect(await run(dp(), "upgrade", "--downgrade", at)).toMatchObject({ code: 0 });
  const program = join(prefix(), "share/dp/bundle/dp");
  expect((await run(program, "--version")).out).toStartWith("dp 0.0.1");
  expect(await run(program, "upgrade", project)).toMatchObject({ code: 0 });
  expect((await run(program, "--version")).out).toContain(`dp ${version}`);
});

test("without a folder and an app it says what there is to do here, and for a server", async () => {
  expect(await run(dp(), "upgrade")).toMatchObject({
    code: 0,
    text: expect.stringMatching(/^no app on this machine: dp upgrade FOLDER .*, dp launch root@SERVER .*\n$/),
  });
  expect(await run(dp(), "upgrade", "--json")).toMatchObject({ code: 0, text: "{}\n" });
});

test("without a folder it brings every app up to this dp, and one that cannot be stops no other", async () => {
  const apps = ["blog", "shop"];
  try {
    for (const app of apps)
      expect(await run(dp(), "setup", app, "--manager", "builtin", "--port", `${await freePort()}`)).toMatchObject({
        code: 0,
      });
    expect(await run(dp(), "upgrade")).toMatchObject({ code: 0, out: "blog: nothing to do\nshop: nothing to do\n" });
    rmSync(join(dir, "root/var/repos/shop.git/hooks/update"));
    const config = join(dir, "root/opt/deployments/blog/config.yml");
    const text = readFileSync(config, "utf8");
    appendFileSync(config, "prot: 1\n");
    const mended = await run(dp(), "upgrade");
    expect(mended).toMatchObject({ code: 3, out: expect.stringMatching(/^shop: wrote .*hooks?.*\n$/) });
    expect(mended.text).toContain("blog could not be brought up to this dp");
    writeFileSync(config, text);
  } finally {
    for (const app of apps) await run(dp(), "destroy", app, "--yes", "--purge");
  }
});

test("an installed dp installs itself elsewhere, as the clone does", async () => {
  const other = join(dir, "other");
  const made = await run("sh", join(prefix(), "share/dp/install.sh"), "--prefix", other);
  expect(made).toMatchObject({ code: 0 });
  const answer = await run(join(other, "bin/dp"), "--version");
  expect(answer.out).toBe((await run(dp(), "--version")).out);
  rmSync(prefix(), { recursive: true });
  const [program] = readFileSync(join(other, "share/dp/bin/dp"), "utf8").split("\n");
  expect(program).toContain(join(other, "share/dp/bun/bin/bun"));
  expect(await run(join(other, "bin/dp"), "--version")).toEqual({ code: 0, out: answer.out, text: answer.out });
  expect(await run(join(other, "share/dp/steps/swap.ts"), "--help")).toMatchObject({
    code: 2,
    text: expect.stringContaining("usage: swap.ts"),
  });
});
