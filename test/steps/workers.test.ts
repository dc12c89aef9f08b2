// workers: each process changes over once the old one has stopped; taken back, the old ones run again.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { load, save } from "../../lib/pipeline/run-file.ts";
import builtin from "../../lib/managers/builtin.ts";
import { isWeb } from "../../lib/text/ids.ts";
import { factsOfRelease } from "../../lib/release/instance.ts";
import { startInstances } from "../../lib/release/workers.ts";
import { endInstances, io, makeApp, runSteps, undo, useServer, type App } from "../support/core-server.ts";
import { makeLive, makeRelease } from "../support/core-release.ts";
import type { ProcessConfig } from "../../lib/config/types.ts";

useServer();
let app: App;
beforeEach(async () => {
  app = await makeApp("front: relay\nscale: {worker: 2, off: 0}");
});
afterEach(() => endInstances(app.app));

/** A process that notes when it comes and goes, and takes its time to go. */
const line = (more = "") =>
  `${more}echo "up $DP_PROCESS $DP_RELEASE" >> "$HOME/notes"; trap 'echo "down $DP_PROCESS $DP_RELEASE" >> "$HOME/notes"; exit 0' TERM; while :; do sleep 0.02; done`;
const process = (more: Partial<ProcessConfig> = {}): ProcessConfig => ({
  ...{ command: line(), healthCheck: { stayUp: 300 }, overlap: false },
  ...more,
});
const notes = () =>
  existsSync(join(app.home, "notes")) ? readFileSync(join(app.home, "notes"), "utf8").trim().split("\n") : [];
const others = async () => (await builtin.instances(app.app)).filter((id) => !isWeb(id));
const pids = async () =>
  Promise.all((await others()).map(async (id) => (await builtin.status({ app: app.app, id })).pid));

/** A live release with these processes running, and a newer one that has been switched to. */
async function two(before: Record<string, ProcessConfig>, after: Record<string, ProcessConfig>) {
  const old = await makeLive(app, 1, { config: { processes: before } });
  const facts = await factsOfRelease(app.own, old.id);
  const ids = Object.keys(before).flatMap((name) =>
    (name === "worker" ? [1, 2] : [1]).map((n) => `${old.id}.${name}.${n}`),
  );
  await startInstances(facts, ids, io);
  const next = await makeRelease(app, 2, { config: { processes: after } });
  const run = await load(next.context);
  run.facts["live"] = old.id;
  await save(next.context, run);
  return { old: old.id, next: next.id, context: next.context };
}

test("each stops before the one of its name starts; one that is gone stops, a new one starts, none at scale 0", async () => {
  const { old, next, context } = await two(
    { worker: process(), gone: process() },
    { worker: process(), fresh: process(), off: process() },
  );
  expect((await runSteps(context, "workers")).join("\n")).toContain("worker.1, worker.2, fresh.1");
  expect(await others()).toEqual([`${next}.fresh.1`, `${next}.worker.1`, `${next}.worker.2`]);
  const seen = notes();
  for (const name of ["worker.1", "worker.2"])
    expect(seen.filter((note) => note.includes(` ${name} `))).toEqual([
      `up ${name} ${old}`,
      `down ${name} ${old}`,
      `up ${name} ${next}`,
    ]);
  expect(seen).toContain(`down gone.1 ${old}`);
  const before = await pids();
  await runSteps(context, "workers");
  expect(await pids()).toEqual(before);
});

test("with overlap the new one has proven itself before the old one stops", async () => {
  const { old, next, context } = await two({ worker: process() }, { worker: process({ overlap: true }) });
  await runSteps(context, "workers");
  const seen = notes().filter((note) => note.includes(" worker.1 "));
  expect(seen).toEqual([`up worker.1 ${old}`, `up worker.1 ${next}`, `down worker.1 ${old}`]);
  expect(await others()).toEqual([`${next}.worker.1`, `${next}.worker.2`]);
});

test.each([
  ["ends at once", { command: "echo no queue; exit 3" }, /exited with code 3/],
  ["ends by itself", { command: "echo no queue" }, /is not running/],
  [
    "ends after a while",
    { command: "echo no queue; sleep 0.2; exit 4" },
    /exited with code 4|crashed and was started again/,
  ],
  [
    "has a check that never exits with 0",
    { healthCheck: { command: "echo no queue; exit 5", timeout: 1_000, interval: 50, startTimeout: 200 } },
    /exited with code 5/,
  ],
  [
    "has a check that does not end",
    { healthCheck: { command: "echo no queue; sleep 60", timeout: 100, interval: 50, startTimeout: 200 } },
    /did not end within 0\.1 s/,
  ],
])(
  "a process that %s fails the step; undone, the old ones run",
  async (_what, more, message) => {
    const { old, context } = await two({ worker: process() }, { worker: process(more) });
    const error = await runSteps(context, "workers").catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ exit: "unhealthy", message: expect.stringMatching(message) });
    expect((error as { lines: string[] }).lines.join("\n")).toContain("no queue");
    await undo("workers", context);
    expect(await others()).toEqual([`${old}.worker.1`, `${old}.worker.2`]);
    const before = await pids();
    await undo("workers", context);
    expect(await pids()).toEqual(before);
  },
  20_000,
);

test("undone before anything was done, nothing changes", async () => {
  const { old, context } = await two({ worker: process() }, { worker: process() });
  const before = await pids();
  await undo("workers", context);
  expect([await others(), await pids()]).toEqual([[`${old}.worker.1`, `${old}.worker.2`], before]);
});

test("undone half done, every process is there once", async () => {
  const { old, next, context } = await two({ worker: process() }, { worker: process() });
  await builtin.stop({ app: app.app, id: `${old}.worker.1` }, io);
  const facts = await factsOfRelease(app.own, next);
  await startInstances(facts, [`${next}.worker.1`], io);
  await undo("workers", context);
  expect(await others()).toEqual([`${old}.worker.1`, `${old}.worker.2`]);
});
