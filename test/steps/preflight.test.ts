import { expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmdirSync, utimesSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { load, save } from "../../lib/pipeline/run-file.ts";
import { DpError } from "../../lib/errors.ts";
import { memoryProblem } from "../../lib/release/preflight.ts";
import { beginDeploy, makeApp, runSteps, someConfig, useServer, type App } from "../support/core-server.ts";
import { project } from "../support/sandbox.ts";
import type { SmallDisk } from "../support/small-disk.ts";

const MB = 1024 ** 2;
useServer();

async function begun(app: App, server: Partial<App["server"]> = {}) {
  const { context } = await beginDeploy(app);
  const run = await load(context);
  Object.assign(run.facts, { config: someConfig(app.app), server: { ...app.server, ...server } });
  await save(context, run);
  return context;
}

const refusal = async (steps: Promise<unknown>): Promise<DpError> => {
  const error = await steps.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error instanceof DpError) return error;
  throw new Error(`no refusal: ${String(error)}`);
};

test("it says what is there and what is needed, and the build says what it took", async () => {
  const app = await makeApp();
  const { context } = await beginDeploy(app);
  const [, said] = await runSteps(context, "read", "preflight");
  expect(said).toMatch(/^preflight +0\.\d s {2}needs 100 MB, \d[\d.]* [MGT]B free; memory .* free$/);
  await runSteps(context, "clone", "link");
  // What others write meanwhile is not the deploy's.
  writeFileSync(join(app.base, "of-somebody-else"), Buffer.alloc(64 * MB));
  await runSteps(context, "install", "build");
  const { taken } = (await load(context)).facts as { taken: { bytes: number; files: number } };
  expect(taken.bytes).toBeGreaterThan(0);
  expect(taken.bytes).toBeLessThan(8 * MB);
  expect(taken.files).toBeGreaterThan(1);
});

test("dependencies count for the deploy that has installed them, the build's files for each", async () => {
  const app = await makeApp();
  const { context } = await beginDeploy(app);
  await runSteps(context, "read", "preflight", "clone", "link", "install");
  const dependencies = join(app.base, "installed");
  mkdirSync(dependencies);
  writeFileSync(join(dependencies, "package"), Buffer.alloc(16 * MB));
  const { release } = (await load(context)).facts as { release: string };
  writeFileSync(join(release, "built"), Buffer.alloc(4 * MB));
  const took = async (installedAt: Date) => {
    utimesSync(dependencies, installedAt, installedAt);
    const run = await load(context);
    await save(context, { ...run, facts: { ...run.facts, runtime: { path: [], env: {}, dependencies } } });
    await runSteps(context, "build");
    return Math.floor(((await load(context)).facts as { taken: { bytes: number } }).taken.bytes / MB);
  };
  expect(await took(new Date())).toBe(20);
  expect(await took(new Date(Date.now() - 3_600_000))).toBe(4);
});

test("minFree is the operator's own word", async () => {
  const app = await makeApp();
  const error = await refusal(runSteps(await begun(app, { minFree: Number.MAX_SAFE_INTEGER }), "preflight"));
  expect([error.exit, error.message]).toEqual(["host", expect.stringMatching(/^the disk has .* needs up to \d+ TB$/)]);
  expect(error.hint).toContain("minFree in config.yml");
});

test("memory is short from the byte on that the live release takes more than is free", () => {
  expect(memoryProblem({ available: 90 * MB, live: 90 * MB })).toBeNull();
  expect(memoryProblem({ available: 90 * MB, live: 90 * MB + 1 })).toContain("uses 90 MB of memory and 90 MB is free");
  expect(memoryProblem({ available: 0, live: null })).toBeNull();
  expect(memoryProblem({ available: null, live: 90 * MB })).toBeNull();
});

test("a port that a stranger holds", async () => {
  const app = await makeApp();
  const stranger = createServer().listen(app.port, "127.0.0.1");
  try {
    const error = await refusal(runSteps(await begun(app), "preflight"));
    expect([error.exit, error.message]).toEqual([
      "host",
      expect.stringContaining(`port ${app.port} is held by pid ${process.pid}`),
    ]);
  } finally {
    stranger.close();
  }
});

test("a manager that this server has not", async () => {
  const app = await makeApp();
  const error = await refusal(runSteps(await begun(app, { manager: "systemd" }), "preflight"));
  expect([error.exit, error.message]).toEqual(["host", expect.stringContaining("manager systemd: ")]);
});

test.skipIf(process.getuid?.() === 0)("a folder that cannot be written", async () => {
  const app = await makeApp();
  const context = await begun(app);
  chmodSync(app.releases, 0o500);
  const error = await refusal(runSteps(context, "preflight"));
  chmodSync(app.releases, 0o755);
  expect(error.message).toContain(`${app.releases} (EACCES)`);
});

test("a folder that is gone", async () => {
  const app = await makeApp();
  const context = await begun(app);
  rmdirSync(app.releases);
  const error = await refusal(runSteps(context, "preflight"));
  expect([error.message, error.hint]).toEqual([
    `cannot write into ${app.releases} (ENOENT)`,
    `dp setup ${app.app} puts it right`,
  ]);
});

// A small file system of its own, which is gone with the last process that sees it.
const namespace = ["unshare", ...(process.getuid?.() === 0 ? [] : ["--map-root-user"]), "--mount", "sh", "-c"];
const mount = 'mount -t tmpfs -o size=160m,nr_inodes=4000 tmpfs "$1" || exit 99; TMPDIR=$1; export TMPDIR; shift; "$@"';
const canMount = Bun.spawnSync([...namespace, mount, "sh", "/mnt", "true"]).exitCode === 0;
if (!canMount) console.warn("preflight: a small disk is left out: this user may not mount one");

test.skipIf(!canMount)(
  "a disk that is nearly full of bytes, or of files: refused early, and nothing is touched",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "dp-small-"));
    const program = join(project, "test/support/small-disk.ts");
    const child = Bun.spawn([...namespace, mount, "sh", folder, process.execPath, program], { stderr: "inherit" });
    const came = JSON.parse(await child.stdout.text()) as SmallDisk;
    rmdirSync(folder);
    const { bytes, files } = came.refused;
    expect([bytes.code, files.code]).toEqual([1, 1]);
    expect(bytes.text).toMatch(/FAILED at preflight: the disk has \d+ MB free, but a deploy needs up to 100 MB/);
    expect(bytes.text).toContain("serving: ");
    expect(files.text).toMatch(/FAILED at preflight: the disk has room for \d+ more files/);
    expect(came.answered).toStartWith("one ");
    expect(came.restart).toBe(0);
    expect(came.after[0].filter((id) => !came.before[0].includes(id)).length).toBeLessThanOrEqual(1); // the restart's link
    expect(came.after[1]).toBe(came.before[1]);
    expect(`${came.again.code} ${came.again.text}`).toStartWith("0 ");
  },
  60_000,
);
