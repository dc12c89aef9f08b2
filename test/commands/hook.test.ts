// What git's hooks call: which push deploys, which is stored, and which is refused.
import { afterEach, beforeAll, beforeEach, describe, expect, spyOn, test } from "bun:test";
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { execute, postReceive, preReceive, update } from "../../lib/commands/hook.ts";
import type { DpError } from "../../lib/errors.ts";
import { commit, deployYml, endInstances, makeApp, useServer, type App } from "../support/core-server.ts";

const server = useServer();
const NOTHING = "0".repeat(40);
let app: App;
let sha: string;
let said: ReturnType<typeof spyOn>;
const lines = () => (said.mock.calls as string[][]).map(([line]) => line).join("\n");
const owed = () => join(app.repo, "dp-owed");
const noted = () => join(app.repo, "dp-push-options");
const runs = () => readdirSync(app.runs);
const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error as DpError,
  );

/** An app whose commit cannot be deployed: what is launched ends at its first step. */
async function brokenApp(more = ""): Promise<void> {
  app = await makeApp(more);
  sha = await commit(app.repo, { "deploy.yml": "type: nonsense\n" });
}
beforeEach(() => void (said = spyOn(console, "log").mockImplementation(() => undefined)));
afterEach(() => said.mockRestore());

describe("update", () => {
  beforeAll(() => brokenApp());

  test.each([
    ["refs/heads/feature", "feature is stored and not deployed"],
    ["refs/tags/v1", "v1 is stored and not deployed"],
    ["refs/heads/main/x", "main/x is stored and not deployed"],
    ["refs/notes/main", "refs/notes/main is stored and not deployed"],
  ])("stores %s, and says so", async (ref, words) => {
    expect(await update(app.repo, ref, NOTHING, sha)).toBe(0);
    expect(await update(app.repo, ref, sha, NOTHING)).toBe(0);
    expect(lines()).toContain(`dp: ${words}; ${app.app} deploys main`);
    expect(runs()).toEqual([]);
  });

  test("refuses to delete the deploy branch", async () => {
    const error = await errorOf(update(app.repo, "refs/heads/main", sha, NOTHING));
    expect([error?.exit, error?.message]).toEqual(["usage", expect.stringContaining("cannot be deleted")]);
    expect(runs()).toEqual([]);
  });

  test("refuses a repository that is no app's, and one that only has an app's name", async () => {
    const lookalike = server.path("elsewhere", `${app.app}.git`);
    mkdirSync(lookalike, { recursive: true });
    for (const repo of [lookalike, server.path("none.git")]) {
      const error = await errorOf(update(repo, "refs/heads/main", NOTHING, sha));
      expect([error?.exit, error?.message]).toEqual(["usage", `${repo} is not the repository of an app`]);
    }
  });

  test("answers the deploy's own exit code for the deploy branch", async () => {
    expect(await update(app.repo, "refs/heads/main", NOTHING, sha)).toBe(3);
    expect(runs().length).toBe(1);
  });
});

describe("with gate: false", () => {
  beforeAll(() => brokenApp("gate: false\n"));

  test("update lets the branch move, and leaves word for post-receive", async () => {
    expect(await update(app.repo, "refs/heads/main", NOTHING, sha)).toBe(0);
    expect(readFileSync(owed(), "utf8")).toBe(`${sha}\n`);
    expect(runs()).toEqual([]);
  });

  test.each([
    ["nothing", () => ""],
    ["another branch", () => `${NOTHING} ${sha} refs/heads/other\n`],
    ["the end of the branch", () => `${sha} ${NOTHING} refs/heads/main\n`],
    ["half a line", () => `${NOTHING} ${sha}\n`],
  ])("post-receive deploys nothing for %s", async (_, text) => {
    expect(await postReceive(app.repo, text())).toBe(0);
    expect(runs()).toEqual([]);
  });

  test("post-receive deploys the branch, once, whatever else was pushed", async () => {
    const line = `${NOTHING} ${sha} refs/heads/main\n`;
    expect(await postReceive(app.repo, `${NOTHING} ${sha} refs/tags/v1\n${line}${line}`)).toBe(3);
    expect(runs().length).toBe(1);
  });
});

test("post-receive leaves to the gate what is the gate's", async () => {
  await brokenApp();
  expect(await postReceive(app.repo, `${NOTHING} ${sha} refs/heads/main\n`)).toBe(0);
  expect(runs()).toEqual([]);
});

describe("pre-receive", () => {
  beforeAll(() => brokenApp());
  afterEach(() => {
    for (const name of Object.keys(process.env)) if (name.startsWith("GIT_PUSH_OPTION_")) delete process.env[name];
  });
  const given = (option: string) =>
    Object.assign(process.env, { GIT_PUSH_OPTION_COUNT: "1", GIT_PUSH_OPTION_0: option });

  test("refuses an option that there is not, before any ref moves", async () => {
    given("skip-hook");
    expect((await errorOf(preReceive(app.repo)))?.message).toContain('unknown push option "skip-hook"');
    expect(existsSync(noted())).toBe(false);
  });

  test("notes one for update, which then deploys nothing", async () => {
    const plain = await commit(app.repo, { "deploy.yml": deployYml(app.app), "server.ts": "" });
    given("dry-run");
    expect(await preReceive(app.repo)).toBe(0);
    delete process.env["GIT_PUSH_OPTION_COUNT"];
    expect(await update(app.repo, "refs/heads/main", NOTHING, plain)).toBe(2);
    expect(lines()).toContain("dry run: nothing was deployed");
    expect(runs()).toEqual([]);
  });
});

describe("execute", () => {
  beforeAll(() => brokenApp());

  test.each(["HEAD", "main", "--all", "3f9c2ab", `${NOTHING}0`, "3F".repeat(20)])(
    "refuses %j as a commit",
    async (name) => {
      const error = await errorOf(execute(app.repo, name));
      expect([error?.exit, error?.message]).toEqual([
        "usage",
        `${JSON.stringify(name)} is not the full name of a commit`,
      ]);
      expect(runs()).toEqual([]);
    },
  );

  test("refuses a commit that was never pushed", async () => {
    const error = await errorOf(execute(app.repo, "1".repeat(40)));
    expect([error?.exit, error?.message]).toEqual(["usage", expect.stringContaining(`has no commit "1111111`)]);
    expect(runs()).toEqual([]);
  });

  test("deploys with the subject of the commit", async () => {
    appendFileSync(app.config, "keep: 4\n");
    const own = await commit(app.repo, { "deploy.yml": "type: nonsense\n" }, "One  line, with 'quotes' and %s");
    expect(await execute(app.repo, own)).toBe(3);
    const run = await Bun.file(join(app.runs, runs()[0]!)).json();
    expect(run.facts).toMatchObject({ subject: "One  line, with 'quotes' and %s", sha: own, server: { keep: 4 } });
    await endInstances(app.app);
  });
});
