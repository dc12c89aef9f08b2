// dp step, dp fact, dp plan: single steps by hand, over the same file as in a deploy.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import type { AuditLine } from "../../lib/host/audit.ts";
import { load } from "../../lib/pipeline/run-file.ts";
import { LISTED, PIPELINES, TOGETHER } from "../../lib/pipeline/pipeline.ts";
import { starter } from "../../lib/host/who.ts";
import { beginDeploy, endInstances, makeApp, runDp, useServer, type App } from "../support/core-server.ts";
import { holdElsewhere } from "../support/core-lock.ts";

useServer();
let app: App;
let context: string;
let id: string;
beforeEach(async () => {
  app = await makeApp();
  ({ context, id } = await beginDeploy(app));
});
afterEach(() => endInstances(app.app));

const steps = (name: string) => join(import.meta.dir, "../../steps", `${name}.ts`);

test("the steps are listed in their order, as lines and as JSON", async () => {
  const order: readonly string[] = LISTED;
  const { out } = await runDp(["step"]);
  expect(
    out
      .trim()
      .split("\n")
      .map((line) => line.split(" ")[0]!),
  ).toEqual([...order, "reuse", "save-env"]);
  const json = JSON.parse((await runDp(["step", "--json"])).out) as { name: string; summary: string }[];
  expect(json.map(({ name }) => name)).toEqual([...order, "reuse", "save-env"]);
  // Those of one server are its pipeline; the others stand where they act when there are several.
  expect(order.filter((name) => !(name in TOGETHER))).toEqual([...PIPELINES.deploy]);
  expect(order.indexOf("spread")).toBe(order.indexOf("start") - 1);
  expect(order.indexOf("agree")).toBe(order.indexOf("swap") - 1);
  expect(order.at(-1)).toBe("gather");
});

test("dp step NAME and ./steps/NAME.ts do the same to the same file, talk on stderr", async () => {
  expect(await runDp(["step", "read", "--context", context])).toMatchObject({
    code: 0,
    out: "",
    err: expect.stringContaining("python, health check /"),
  });
  const env = { PATH: process.env["PATH"] ?? "", DP_ROOT: process.env["DP_ROOT"] ?? "" };
  const child = Bun.spawnSync([steps("clone"), context], { cwd: "/", env });
  expect([child.exitCode, child.stdout.toString()]).toEqual([0, ""]);
  expect(await runDp(["step", "build", "--app", app.app])).toMatchObject({ code: 4 });
  expect(Object.entries((await load(context)).journal).map(([name, { state }]) => `${name} ${state}`)).toEqual([
    "read ok",
    "clone ok",
    "build failed",
  ]);
  expect(existsSync(join(app.releases, id, "server.ts"))).toBe(true);
  const undone = Bun.spawnSync([steps("clone"), context, "--undo"], { cwd: "/", env });
  expect(undone.exitCode).toBe(0);
  expect((await load(context)).journal["clone"]?.state).toBe("undone");
}, 30_000);

test("dp begin, and each step by hand or taken back, is in the audit log", async () => {
  const begun = await runDp(["begin", app.app]);
  const own = basename(begun.out.trim(), ".json");
  await runDp(["step", "read", "--context", begun.out.trim()]);
  await runDp(["step", "build", "--app", app.app]);
  await runDp(["step", "read", "--app", app.app, "--undo"]);
  await runDp(["step", "--app", app.app, "--undo"]);
  await runDp(["step", "read", "--app", "nobody"]);
  const { sha } = (await load(context)).facts as { sha: string };
  const line = { app: app.app, run: own, by: starter(), result: "ok", code: 0 } as const;
  const lines = JSON.parse((await runDp(["audit", app.app, "--json"])).out) as AuditLine[];
  expect(lines.map(({ time: _, ...more }) => more)).toEqual([
    { ...line, what: "begin" },
    { ...line, sha, what: "step", detail: "read" },
    { ...line, sha, what: "step", detail: "build", result: "failed", code: 4 },
    { ...line, sha, what: "step --undo", detail: "read" },
    { ...line, sha, what: "step --undo" },
  ]);
}, 30_000);

test.each<[string[], number, string]>([
  [["step", "swop", "--context", "x"], 2, 'did you mean "swap"?'],
  [["step", "read"], 2, "which run?"],
  [["step", "read", "--context", "/missing.json"], 4, "no such run file"],
  [["step", "read", "--app", "nobody"], 2, 'there is no app "nobody"'],
  [["step", "read", "--app", "../x"], 2, "must start with a lower-case letter"],
  [["fact", "/missing.json"], 4, "no such run file"],
  [["plan", "nobody"], 2, 'there is no app "nobody"'],
])("dp %j is refused with %d", async (words, code, text) => {
  const answer = await runDp(words);
  expect([answer.code, answer.out]).toEqual([code, ""]);
  expect(answer.err).toContain(text);
  expect(answer.err).not.toContain("bug in dp");
});

test("a step waits for nobody: while a deploy holds the app it is refused with 5", async () => {
  const other = await holdElsewhere(app.lock, { id: "9-aaaaaaa", by: "ann", pid: 1, since: new Date().toISOString() });
  const { code, err } = await runDp(["step", "read", "--context", context]);
  await other.kill();
  expect(code).toBe(5);
  expect(err).toContain("deploy 9-aaaaaaa by ann");
  expect((await load(context)).journal).toEqual({});
  const lines = JSON.parse((await runDp(["audit", app.app, "--json"])).out) as AuditLine[];
  expect(lines).toMatchObject([{ what: "step", detail: "read", run: id, result: "refused", code: 5 }]);
});

describe("dp fact", () => {
  test("prints text as it is, anything else as JSON, and all as an object", async () => {
    expect((await runDp(["fact", context, "app"])).out).toBe(`${app.app}\n`);
    expect(JSON.parse((await runDp(["fact", context, "server"])).out)).toEqual(app.server);
    expect(JSON.parse((await runDp(["fact", context])).out)).toEqual((await load(context)).facts);
  });

  test("that is not there is exit 4, with what was meant", async () => {
    const { code, err } = await runDp(["fact", context, "subjct"]);
    expect(code).toBe(4);
    expect(err).toContain('did you mean "subject"?');
  });

  test("without a context explains the vocabulary", async () => {
    const { out } = await runDp(["fact"]);
    expect(out).toMatch(/^sha +the commit, in full$/m);
    expect(
      out
        .trim()
        .split("\n")
        .every((line) => /^\S+ +\S/.test(line)),
    ).toBe(true);
  });
});

describe("dp plan", () => {
  test("shows the order, and what is needed and provided, as JSON", async () => {
    const plan = JSON.parse((await runDp(["plan", "--json"])).out) as { steps: { name: string }[]; unmet: string[] };
    expect(plan.steps.map(({ name }) => name)).toEqual([...PIPELINES.deploy]);
    expect(plan.unmet).toEqual([]);
  });

  test("of an app shows what a deploy would do, and does nothing", async () => {
    const plan = JSON.parse((await runDp(["plan", app.app, "--json"])).out) as Record<string, unknown>;
    expect(plan).toMatchObject({
      app: app.app,
      live: null,
      type: "python",
      healthCheck: "/",
      port: app.port,
      build: null,
    });
    expect(existsSync(join(app.releases, id))).toBe(false);
  });
});
