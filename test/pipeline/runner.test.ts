// The only road by which steps run: forwards, backwards, and to an honest result.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { load, save } from "../../lib/pipeline/run-file.ts";
import { DpError, EXIT, exitCodeOf } from "../../lib/errors.ts";
import { runFile, runsOf } from "../../lib/release/history.ts";
import builtin from "../../lib/managers/builtin.ts";
import { envFile } from "../../lib/config/env-file.ts";
import { PIPELINES } from "../../lib/pipeline/pipeline.ts";
import { receipt } from "../../lib/deploy/log/receipt.ts";
import { orderOf, runPipeline, runStep, undoStep } from "../../lib/pipeline/runner.ts";
import {
  beginDeploy,
  deployYml,
  endInstances,
  makeApp,
  recorded,
  runSteps,
  useServer,
  type App,
} from "../support/core-server.ts";
import { makeLive, makeRelease } from "../support/core-release.ts";

useServer();
let app: App;
beforeEach(async () => {
  app = await makeApp();
});
afterEach(() => endInstances(app.app));

const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error as DpError,
  );
const states = async (context: string) =>
  Object.fromEntries(Object.entries((await load(context)).journal).map(([name, { state }]) => [name, state]));
const answer = async () => (await fetch(`http://127.0.0.1:${app.port}/`)).text();
const deploy = (context: string, options: { signal?: AbortSignal; from?: string } = {}) =>
  runPipeline(context, recorded(), options);
const BROKEN = { "server.ts": 'console.log("broken"); process.exit(3);' };
/** Healthy until it is live, and never again. */
const UNTIL_LIVE = {
  "server.ts": `
    import { readlinkSync } from "node:fs";
    const isLive = () => {
      try { return readlinkSync("../../current").endsWith(process.env.DP_RELEASE); } catch { return false; }
    };
    const fetch = () => new Response("", { status: isLive() ? 500 : 200 });
    Bun.serve({ hostname: "127.0.0.1", port: Number(process.env.PORT), fetch });`,
};

describe("a deploy", () => {
  test("ends good, with every step in the journal in its order", async () => {
    const { id, context } = await beginDeploy(app);
    await deploy(context);
    const run = await load(context);
    expect(Object.keys(run.journal)).toEqual([...PIPELINES.deploy]);
    expect(new Set(Object.values(await states(context)))).toEqual(new Set(["ok"]));
    expect(run.result).toMatchObject({ state: "good", code: 0 });
    expect([await app.own.live(), await answer()]).toEqual([id, id]);
  });

  test("that fails before the switch leaves the old release serving, and no trace of the new one", async () => {
    const old = await makeLive(app, 1);
    writeFileSync(join(app.base, "counter"), "1\n");
    const { id, context } = await beginDeploy(app, "", BROKEN);
    const error = await errorOf(deploy(context));
    expect(error?.exit).toBe("unhealthy");
    expect([await app.own.live(), await app.own.previous(), await answer()]).toEqual([old.id, null, old.id]);
    expect(await builtin.instances(app.app)).toEqual([old.id]);
    expect(await states(context)).toMatchObject({ read: "undone", clone: "undone", start: "undone", check: "undone" });
    const { result, journal } = await load(context);
    expect(result).toMatchObject({ state: "failed", code: EXIT.unhealthy, error: error?.message });
    expect(journal["check"]?.error).toBe(error!.message);
    expect((await runsOf(app.own)).find((past) => past.id === id)?.state).toBe("failed");
  });

  test("that fails after the switch goes back by the same rename", async () => {
    const old = await makeLive(app, 1);
    writeFileSync(join(app.base, "counter"), "1\n");
    const { context } = await beginDeploy(app, "", UNTIL_LIVE);
    expect((await errorOf(deploy(context)))?.message).toContain(": 500");
    expect([await app.own.live(), await app.own.previous(), await answer()]).toEqual([old.id, null, old.id]);
    expect(await states(context)).toMatchObject({ swap: "undone", verify: "undone" });
  });

  test("that is the first and fails after the switch leaves nothing that serves", async () => {
    const { context } = await beginDeploy(app, "", UNTIL_LIVE);
    expect(await errorOf(deploy(context))).toBeInstanceOf(DpError);
    expect([await app.own.live(), await builtin.instances(app.app)]).toEqual([null, []]);
  });

  test("that failed can be run again from its beginning", async () => {
    const { id, context } = await beginDeploy(app, 'build: test -e "$HOME/mended"\n');
    expect((await errorOf(deploy(context)))?.exit).toBe("command");
    writeFileSync(join(app.home, "mended"), "");
    await deploy(context);
    expect((await load(context)).result?.state).toBe("good");
    expect(await app.own.live()).toBe(id);
  });

  test("that was cut off goes on where it was, and runs nothing twice", async () => {
    const { context } = await beginDeploy(
      app,
      'build: echo built >> "$HOME/builds"\nhooks:\n  postDeploy: echo done >> "$HOME/builds"\n',
    );
    await runSteps(context, ...PIPELINES.deploy.slice(0, PIPELINES.deploy.indexOf("start")));
    const run = await load(context);
    run.journal["start"] = { state: "running", startedAt: new Date().toISOString() };
    await save(context, run);
    await deploy(context);
    expect(readFileSync(join(app.home, "builds"), "utf8")).toBe("built\ndone\n");
    expect((await load(context)).result?.state).toBe("good");
  });

  test("from a step on, it and all behind it run again", async () => {
    const { context } = await beginDeploy(
      app,
      'build: echo built >> "$HOME/builds"\nhooks:\n  postDeploy: echo done >> "$HOME/builds"\n',
    );
    await deploy(context);
    await deploy(context, { from: "post-deploy" });
    expect(readFileSync(join(app.home, "builds"), "utf8")).toBe("built\ndone\ndone\n");
    expect((await load(context)).result?.state).toBe("good");
  });
});

test("a step that does not come back ends by its limit, is named, and is taken back", async () => {
  const yml = deployYml(app.app).replace("startTimeout: 30s", "startTimeout: 1s");
  const { id, context } = await beginDeploy(app, "", { "deploy.yml": yml });
  const run = await load(context);
  const short = { stepTimeout: 1_000, stopTimeout: 0, drainTimeout: 0, holdTimeout: 1_000 };
  await save(context, { ...run, facts: { ...run.facts, server: { ...app.server, ...short } } });
  // Half of it from a run before: it is removed first, and that does not end.
  mkdirSync(join(app.releases, id));
  const tools = join(app.base, "tools");
  mkdirSync(tools);
  writeFileSync(join(tools, "chmod"), "#!/bin/sh\nexec sleep 1000\n", { mode: 0o755 });
  const path = process.env["PATH"];
  process.env["PATH"] = `${tools}:${path}`;
  const error = await errorOf(deploy(context)).finally(() => (process.env["PATH"] = path));
  expect(error?.message).toBe("step clone did not end within 8s, its limit");
  expect(exitCodeOf(error)).toBe(6);
  expect(await states(context)).toMatchObject({ read: "undone", clone: "undone" });
  expect(Object.keys(await states(context))).not.toContain("link");
  expect((await load(context)).result).toMatchObject({ state: "failed", code: 6 });
});

test("ten deploys that fail leave the files of the newest, and nothing that runs", async () => {
  const old = await makeLive(app, 1);
  writeFileSync(join(app.base, "counter"), "1\n");
  let last = "";
  for (let count = 0; count < 10; count++) {
    const { id, context } = await beginDeploy(
      app,
      count % 2 === 0 ? "build: exit 3\n" : "hooks: {preDeploy: exit 3}\n",
    );
    expect((await errorOf(deploy(context)))?.message).toEndWith("exited with code 3");
    last = id;
  }
  expect(readdirSync(app.releases).sort()).toEqual([old.id, last].sort());
  expect([await builtin.instances(app.app), await answer()]).toEqual([[old.id], old.id]);
});

describe("the way back", () => {
  test("is last-first, and stops where it fails, by exit 9 with the command to type", async () => {
    const old = await makeLive(app, 1);
    writeFileSync(join(app.base, "counter"), "1\n");
    const { context } = await beginDeploy(app, "", BROKEN);
    unlinkSync(runFile(app.own, old.id)); // nothing says any more how the old one is started
    const error = await errorOf(deploy(context));
    expect(error?.exit).toBe("stuck");
    expect(exitCodeOf(error)).toBe(9);
    expect(error?.message).toContain("and the undo failed at start: ");
    expect(error?.hint).toEndWith(`dp step start --undo --context ${context}`);
    expect(await states(context)).toMatchObject({ check: "undone", start: "ok", clone: "ok", read: "ok" });
    expect((await load(context)).result).toMatchObject({ state: "failed", code: 9 });
  });

  test("of one step is written in the journal, and its result is none any more", async () => {
    const { context } = await beginDeploy(app);
    await deploy(context);
    await undoStep("post-deploy", context, recorded());
    expect((await states(context))["post-deploy"]).toBe("undone");
    expect((await load(context)).result).toBeUndefined();
  });

  test("of a step that never ran leaves no entry", async () => {
    const { context } = await beginDeploy(app);
    await undoStep("post-deploy", context, recorded());
    expect((await load(context)).journal).toEqual({});
  });
});

test("a step's end and the next one's begin are saved together, while nothing asks to stop", async () => {
  const { context } = await beginDeploy(app);
  const stop = new AbortController();
  const seen: string[] = [];
  const out = recorded();
  const end = (step: string) => {
    const { journal } = JSON.parse(readFileSync(context, "utf8")) as { journal: Record<string, { state: string }> };
    const running = Object.keys(journal).filter((name) => journal[name]!.state === "running");
    seen.push(`${journal[step]!.state}, ${running.join() || "none"}`);
    if (step === "clone") stop.abort(new DpError("terminated", "stopped"));
  };
  await errorOf(runPipeline(context, { ...out, end }, { signal: stop.signal }));
  const [one, two, three] = PIPELINES.deploy;
  expect(seen.slice(0, 2)).toEqual([`ok, ${two}`, `ok, ${three}`]);
  // What was begun on paper only is taken back like all the rest.
  expect(await states(context)).toEqual({ read: "undone", preflight: "undone", clone: "undone", link: "undone" });
  expect([one, await app.own.live()]).toEqual(["read", null]);
  const again = await beginDeploy(app);
  await deploy(again.context);
  expect((await load(again.context)).result?.state).toBe("good");
});

describe("an abort", () => {
  const stopped = () => new DpError("terminated", "stopped by SIGTERM");

  test("before the first step: nothing runs", async () => {
    const { id, context } = await beginDeploy(app);
    const reason = stopped();
    expect(await errorOf(deploy(context, { signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(existsSync(join(app.releases, id))).toBe(false);
    expect((await load(context)).result).toMatchObject({ state: "failed", code: EXIT.terminated });
  });

  /** Deploys, and aborts as soon as a child has said "now". */
  const abortAt = (context: string, reason: DpError) => {
    const stop = new AbortController();
    const out = receipt((line) => line.endsWith("| now") && stop.abort(reason));
    return errorOf(runPipeline(context, out, { signal: stop.signal }));
  };

  test("during a step ends its child and takes all back", async () => {
    const { context } = await beginDeploy(app, "build: echo now; sleep 1000\n");
    const reason = stopped();
    expect(await abortAt(context, reason)).toBe(reason);
    expect(await states(context)).toMatchObject({ build: "undone", clone: "undone" });
    expect(Object.keys((await load(context)).journal)).not.toContain("start");
  });

  test("after the switch is not heard: the deploy reaches its end", async () => {
    const { id, context } = await beginDeploy(app, 'hooks:\n  postDeploy: echo now; sleep 0.2; touch "$HOME/later"\n');
    expect(await abortAt(context, stopped())).toBeNull();
    expect((await load(context)).result?.state).toBe("good");
    expect(existsSync(join(app.home, "later"))).toBe(true);
    expect(await answer()).toBe(id);
  });
});

describe("one step", () => {
  test("passes on its error, and notes it", async () => {
    const { context } = await makeRelease(app, 1);
    const error = await errorOf(runStep("check", context, recorded()));
    expect(error?.exit).toBe("run");
    expect(error?.message).toBe('fact "port" is missing');
    expect((await load(context)).journal["check"]).toMatchObject({ state: "failed", error: 'fact "port" is missing' });
  });

  test("of an unknown name, or over a run file of another version, is refused", async () => {
    const { context } = await makeRelease(app, 1);
    const error = await errorOf(runStep("swop", context, recorded()));
    expect([error?.exit, error?.hint]).toEqual(["usage", 'did you mean "swap"?']);
    writeFileSync(context, '{"version":2,"facts":{},"journal":{}}', { mode: 0o600 });
    expect((await errorOf(runStep("read", context, recorded())))?.message).toContain("version 2");
    expect(readFileSync(context, "utf8")).toContain('"version":2');
  });

  test("makes the run good only as the last one that was missing", async () => {
    const { context } = await beginDeploy(app);
    for (const name of PIPELINES.deploy) {
      expect((await load(context)).result).toBeUndefined();
      await runSteps(context, name);
    }
    expect((await load(context)).result?.state).toBe("good");
    chmodSync(context, 0o600);
    const run = await load(context);
    run.journal["build"] = { state: "failed", startedAt: "x", error: "y" };
    await save(context, run);
    await runSteps(context, "prune");
    expect((await load(context)).result).toBeUndefined();
  });

  test("knows the order of its own run", async () => {
    const back = await makeRelease(app, 1, { kind: "rollback" });
    expect(orderOf(await load(back.context))).toEqual(PIPELINES.rollback);
  });
});

test("no secret of the env file reaches a run file, whatever fails", async () => {
  const secret = "hunter2-is-no-password";
  writeFileSync(envFile(app.base, "production"), `SECRET=${secret}\n`, { mode: 0o600 });
  const lines = [
    'build: echo "$SECRET" >&2; exit 1',
    'hooks:\n  preDeploy: echo "$SECRET"; exit 1',
    'hooks:\n  postDeploy: echo "$SECRET"; exit 1',
  ];
  for (const line of lines) {
    const { context } = await beginDeploy(app, `${line}\n`);
    await errorOf(deploy(context));
  }
  const { context } = await beginDeploy(app, "", { "server.ts": "console.log(process.env.SECRET); process.exit(1);" });
  const error = await errorOf(deploy(context));
  expect(error?.lines.join("\n")).toContain(secret);
  // The settings of each run lie beside it, in files of their own.
  const files = readdirSync(app.runs).filter((name) => name.endsWith(".json"));
  expect(files.length).toBe(4);
  for (const file of files) expect(readFileSync(join(app.runs, file), "utf8")).not.toContain(secret);
});

test("an error that is no DpError is a bug, exit 1", () => {
  expect(exitCodeOf(new Error("x"))).toBe(1);
  expect(exitCodeOf(new DpError("unhealthy", "x"))).toBe(7);
});
