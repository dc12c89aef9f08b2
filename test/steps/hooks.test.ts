// build, pre-deploy, post-deploy: lines of deploy.yml, run in the release with the app's environment.
import { beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { load } from "../../lib/pipeline/run-file.ts";
import type { DpError } from "../../lib/errors.ts";
import { envFile } from "../../lib/config/env-file.ts";
import { until } from "../managers/contract.ts";
import { isAlive } from "../../lib/host/process/process.ts";
import {
  beginDeploy,
  giveFacts,
  makeApp,
  noRuntime,
  runSteps,
  someConfig,
  useServer,
  type App,
} from "../support/core-server.ts";

useServer();
let app: App;
beforeAll(async () => {
  app = await makeApp("stepTimeout: 1s");
  writeFileSync(envFile(app.base, "production"), "SECRET=from-the-env-file\nHELLO='a b'\n", { mode: 0o600 });
});

const KINDS = [
  ["build", (line: string) => ({ build: line })],
  ["pre-deploy", (line: string) => ({ hooks: { preDeploy: line } })],
  ["post-deploy", (line: string) => ({ hooks: { postDeploy: line } })],
] as const;
type Kind = (typeof KINDS)[number][0];

/** A context whose release is laid out, with that line for the step. */
async function withLine(kind: Kind, line: string | undefined, facts: Record<string, unknown> = {}) {
  const { context, id, sha } = await beginDeploy(app);
  const more = line === undefined ? {} : KINDS.find(([name]) => name === kind)![1](line);
  await giveFacts(context, { config: someConfig(app.app, more), runtime: noRuntime, ...facts });
  await runSteps(context, "clone");
  return { context, id, sha, release: join(app.releases, id) };
}

describe.each(KINDS.map(([name]) => name))("%s", (kind) => {
  test("runs in the release, with the app's environment and nothing of dp's", async () => {
    process.env["GIT_DIR"] = "/leaked";
    const runtime = { path: ["/opt/of-runtime/bin"], env: { FROM_RUNTIME: "yes" }, dependencies: null };
    const { context, id, sha, release } = await withLine(kind, "pwd; env", { runtime });
    const said = (await runSteps(context, kind)).map((line) => line.replace("  | ", ""));
    delete process.env["GIT_DIR"];
    expect(said).toContain(release);
    for (const entry of [
      ...[`PORT=${app.port}`, `DP_RELEASE=${id}`, `DP_COMMIT=${sha}`, `DP_APP=${app.app}`, "DP_ENV=production"],
      ...["SECRET=from-the-env-file", "HELLO=a b", "FROM_RUNTIME=yes", `HOME=${app.home}`],
    ])
      expect(said).toContain(entry);
    expect(said.join("\n")).toContain("\nPATH=/opt/of-runtime/bin:");
    expect(said.join("\n")).not.toMatch(/GIT_DIR|DP_ROOT|SSH_/);
  });

  test("without a line there is nothing to do", async () => {
    const { context } = await withLine(kind, undefined);
    expect((await runSteps(context, kind))[0]).toMatch(/nothing to build|no hook/);
  });

  test("twice is twice the line, and no more", async () => {
    const { context, release } = await withLine(kind, "echo once >> ran; cat /dev/stdin");
    await runSteps(context, kind, kind);
    expect(readFileSync(join(release, "ran"), "utf8")).toBe("once\nonce\n");
  });
});

describe.each(["build", "pre-deploy"] as const)("%s", (kind) => {
  test("that fails is an error with its words, and its code is not ours", async () => {
    const { context } = await withLine(kind, "echo it is broken >&2; exit 42");
    const error = (await runSteps(context, kind).catch((thrown: unknown) => thrown)) as DpError;
    expect(error.exit).toBe("command");
    expect(error.message).toEndWith("exited with code 42");
    expect(error.lines).toEqual(["it is broken"]);
    expect((await load(context)).journal[kind]).toMatchObject({ state: "failed", error: error.message });
  });

  test("that hangs is stopped with its children", async () => {
    const { context, release } = await withLine(kind, "sleep 1000 & echo $! > pid; wait");
    const error = await runSteps(context, kind).catch((thrown: unknown) => thrown);
    expect(String(error)).toContain("did not end within 1 s");
    const pid = Number(readFileSync(join(release, "pid"), "utf8"));
    await until("the child is gone", () => !isAlive(pid));
  });
});

test("a postDeploy that fails is a warning, and the step is done", async () => {
  const { context } = await withLine("post-deploy", "echo it is broken; exit 42");
  const said = await runSteps(context, "post-deploy");
  expect(said.join("\n")).toMatch(/ {2}! postDeploy failed, but the release is live: .* exited with code 42/);
  expect((await load(context)).journal["post-deploy"]?.state).toBe("ok");
});

test.each(["pre-deploy", "post-deploy"] as const)("%s is left out when that was asked for", async (kind) => {
  const { context, release } = await withLine(kind, "touch ran", { skipHooks: true });
  expect((await runSteps(context, kind))[0]).toContain("skipped, as asked");
  expect(existsSync(join(release, "ran"))).toBe(false);
});

test("a database that the hook leaves in the release is named, one of the commit or in a shared folder is not", async () => {
  const kept = join(app.shared, "kept");
  mkdirSync(kept, { recursive: true });
  writeFileSync(join(kept, "app.db"), "");
  const line = `mkdir -p var node_modules/x && touch db.sqlite3 var/jobs.db node_modules/x/a.db`;
  const { context, release } = await withLine("pre-deploy", line);
  symlinkSync(kept, join(release, "kept"));
  const warned = (await runSteps(context, "pre-deploy")).filter((text) => text.includes("new with each deploy"));
  expect(warned.map((text) => text.replace(/^\s*! /, ""))).toEqual([
    "db.sqlite3 is in the release, which is new with each deploy: keep it below shared: {dirs: [data]}",
    "var/jobs.db is in the release, which is new with each deploy: keep it below shared: {dirs: [var]}",
  ]);
});
