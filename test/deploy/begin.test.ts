// dp begin: what must not vary is decided once, under a number that nobody else gets.
import { beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { begin, beginAsPeer, beginRollback, commitOf } from "../../lib/deploy/begin.ts";
import { load } from "../../lib/pipeline/run-file.ts";
import type { DpError } from "../../lib/errors.ts";
import { runIds } from "../../lib/release/history.ts";
import { openApp } from "../../lib/release/app.ts";
import { places } from "../../lib/paths.ts";
import { sequenceOf } from "../../lib/text/ids.ts";
import { plainEnv } from "../../lib/host/run.ts";
import { commit, makeApp, runDp, useServer, type App } from "../support/core-server.ts";
import { makeRelease } from "../support/core-release.ts";

useServer();
let app: App;
let sha: string;
beforeEach(async () => {
  app = await makeApp();
  sha = await commit(app.repo, { a: "1" }, "Fix the login");
});
const git = (...words: string[]) =>
  Bun.spawnSync(["git", "--git-dir", app.repo, ...words], { env: plainEnv() })
    .stdout.toString()
    .trim();
const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error as DpError,
  );

test("the run file has all that is given, and nothing else happened", async () => {
  const { id, context } = await begin(app.own, undefined);
  expect(id).toBe(`1-${sha.slice(0, 7)}`);
  const run = await load(context);
  expect(run.facts).toMatchObject({
    app: app.app,
    base: app.base,
    repo: app.repo,
    id,
    sha,
    kind: "deploy",
    subject: "Fix the login",
    skipHooks: false,
    server: app.server,
  });
  expect([run.journal, run.result]).toEqual([{}, undefined]);
  expect(statSync(context).mode & 0o777).toBe(0o600);
  expect(git("rev-parse", `refs/dp/${id}`)).toBe(sha);
});

test.each<[string, () => string]>([
  ["a branch", () => "main"],
  ["a full name", () => sha],
  ["a short one", () => sha.slice(0, 8)],
  [
    "an annotated tag",
    () => {
      git("-c", "user.name=D", "-c", "user.email=d@localhost", "tag", "-a", "-m", "x", "v1", sha);
      return "v1";
    },
  ],
])("%s names the commit", async (_, ref) => {
  expect(await commitOf(app.repo, ref())).toBe(sha);
});

test.each(["missing", "", "--all", "-n", "main:a", "main^{tree}", "..", "HEAD~9"])("%j names none", async (ref) => {
  const error = await errorOf(begin(app.own, ref));
  expect(error?.exit).toBe("usage");
  expect(error?.message).toContain("has no commit");
  expect(await runIds(app.own)).toEqual([]);
});

describe("the number", () => {
  test("differs for eight that begin at once, and leaves no gap", async () => {
    const done = await Promise.all(Array.from({ length: 8 }, () => runDp(["begin", app.app])));
    expect(done.map(({ code, err }) => [code, err])).toEqual(Array.from({ length: 8 }, () => [0, ""]));
    const numbers = done.map(({ out }) => sequenceOf(basename(out.trim(), ".json"))).sort((a, b) => a - b);
    expect(numbers).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect((await runIds(app.own)).length).toBe(8);
  }, 60_000);

  test.each([
    ["lost", () => rmSync(join(app.base, "counter"), { force: true })],
    ["behind", () => writeFileSync(join(app.base, "counter"), "3\n")],
    ["damaged", () => writeFileSync(join(app.base, "counter"), "many\n")],
  ])("grows, though the counter is %s", async (_, harm) => {
    await makeRelease(app, 7, { state: "failed" });
    mkdirSync(join(app.releases, "9-bbbbbbb"), { recursive: true });
    harm();
    expect((await begin(app.own, undefined)).id).toStartWith("10-");
    expect((await begin(app.own, undefined)).id).toStartWith("11-");
  });

  test("is known from the logs, when counter, context and files are lost", async () => {
    const { logs } = places(app.app);
    mkdirSync(logs, { recursive: true });
    for (const name of ["12-aaaaaaa.log", "11-bbbbbbb.app.log", "99.log"]) writeFileSync(join(logs, name), "");
    expect((await begin(app.own, undefined)).id).toStartWith("13-");
  });

  test("is the counter's, when all else is gone", async () => {
    writeFileSync(join(app.base, "counter"), "41\n");
    expect((await begin(app.own, undefined)).id).toStartWith("42-");
  });

  test("has an end, and nothing is written beyond it", async () => {
    const counter = join(app.base, "counter");
    writeFileSync(counter, "999999998\n");
    expect((await begin(app.own, undefined)).id).toStartWith("999999999-");
    const error = await errorOf(begin(app.own, undefined));
    expect([error?.exit, error?.message]).toEqual([
      "host",
      `999999999 is the last number that a deploy can have: ${counter} is beyond it`,
    ]);
    expect([readFileSync(counter, "utf8"), (await runIds(app.own)).length]).toEqual(["999999999\n", 1]);
  });

  test("of the server that leads is taken when it is near, and refused when it is used or too far ahead", async () => {
    const counter = join(app.base, "counter");
    writeFileSync(counter, "41\n");
    const group = { as: "peer", name: "b", lead: "a", peers: {}, without: [], roles: {} } as const;
    const asked = (number: number) => {
      const joint = { id: `${number}-${sha.slice(0, 7)}`, by: "ann, by a", group: { ...group, without: [] } };
      return beginAsPeer(app.own, { sha, subject: "Change", built: null }, joint);
    };
    const far = await errorOf(asked(10_043));
    expect([far?.exit, far?.message, far?.hint]).toEqual([
      "host",
      "a is at number 10043, and here the next one is 42: that is too far ahead",
      `if the app has had as many deploys there, type on this server: echo 10042 > ${counter}`,
    ]);
    expect((await errorOf(asked(999_999_999)))?.exit).toBe("host");
    expect((await errorOf(asked(41)))?.exit).toBe("superseded");
    expect([readFileSync(counter, "utf8"), await runIds(app.own)]).toEqual(["41\n", []]);
    expect((await asked(10_042)).id).toStartWith("10042-");
  });
});

test("a rollback takes the facts of the release that it goes back to, and the server's of today", async () => {
  const old = await makeRelease(app, 3, { state: "good" });
  writeFileSync(app.config, `port: ${app.port}\nmanager: builtin\nkeep: 9\n`);
  // Its commit is known by its name alone here.
  const run = await load(old.context);
  run.facts["sha"] = sha;
  await (await import("../../lib/pipeline/run-file.ts")).save(old.context, run);
  const { id, context } = await beginRollback(await openApp(app.app), old.id);
  expect(id).toStartWith("4-");
  expect((await load(context)).facts).toMatchObject({
    kind: "rollback",
    release: old.release,
    config: run.facts["config"],
    runtime: run.facts["runtime"],
    skipHooks: true,
    server: { keep: 9 },
  });
  expect((await errorOf(beginRollback(app.own, "99-aaaaaaa")))?.exit).toBe("run");
});
