// The proofs of the self-test, step by step, over this server's real hooks, manager and front.
import { readdirSync } from "node:fs";
import { setServerValues } from "../config/config.ts";
import { DpError } from "../errors.ts";
import { readText, writeFileAtomic } from "../host/files.ts";
import { places } from "../paths.ts";
import { namedApp } from "../release/named-app.ts";
import { holder, newestRun } from "../release/history.ts";
import { run } from "../host/run.ts";
import { BUN, SELF } from "../host/self.ts";
import { answers, BREAK, SLOW, type Stage } from "./stage.ts";
import { commit, dp, makeCode, push } from "./scenario.ts";
import { hasSmallDisk, mountProblem, mountSmallDisk, withFullDisk } from "./small-disk.ts";

const PATIENCE = 60_000;

/** The proofs in order: each answers why it was skipped, if it was. Throws DpError when the proof fails. */
export const PROOFS: [step: string, prove: (stage: Stage) => Promise<string | void>][] = [
  ["set up a test app", setUp],
  ["push a commit: it is live", (stage) => pushVersion(stage, 1)],
  ["push another: it takes over", (stage) => pushVersion(stage, 2)],
  ["push a broken one: refused, the old one answers", pushBroken],
  ["kill -9 in the middle of a deploy: the old one answers", killDeploy],
  ["push after that: it is live, and nothing else runs", pushAfterKill],
  ["push on a full disk: refused, the old one answers", pushOnFullDisk],
  ["push with too little disk space: nothing is changed", pushWithoutRoom],
  ["roll back: the previous release answers", rollBack],
];

async function setUp(stage: Stage): Promise<void> {
  const { app, port } = stage;
  await makeCode(stage, BUN);
  await dp(stage, "setup", app, "--port", String(port));
  await configure(app, { verifyTime: "500ms" });
  await mountSmallDisk(app);
}

async function configure(app: string, values: { verifyTime?: string; minFree?: string }): Promise<string> {
  const { config } = places(app);
  const before = (await readText(config)) ?? "";
  await writeFileAtomic(config, setServerValues(before, values as Parameters<typeof setServerValues>[1], config));
  return before;
}

async function pushVersion(stage: Stage, version: number): Promise<void> {
  await commit(stage, version, `Say version ${version}`);
  await push(stage);
  await answers(stage, `version ${version}`);
}

async function pushBroken(stage: Stage): Promise<void> {
  await commit(stage, 3, "Break it", BREAK[stage.file]);
  await push(stage, "is refused");
  await answers(stage, "version 2");
}

async function killDeploy(stage: Stage): Promise<void> {
  await commit(stage, 3, "Start slowly", SLOW[stage.file]);
  const app = namedApp(stage.app);
  const before = (await newestRun(app))?.id;
  const pushed = push(stage, "is refused");
  const isChecked = async () => {
    const last = await newestRun(app);
    return last !== null && last.id !== before && last.run.journal["check"]?.state === "running";
  };
  const killed = until("the deploy's health check", isChecked).then(() => {
    const pid = holder(app)?.pid;
    if (pid === undefined) throw new DpError("command", "nobody holds the app's lock in the middle of a deploy");
    process.kill(pid, "SIGKILL");
  });
  await Promise.all([pushed, killed]);
  await answers(stage, "version 2");
}

/** The answer of `dp status` about the app. */
async function statusOf({ app, env }: Stage): Promise<{ strays: string[]; isHealthy: boolean | null }> {
  return JSON.parse((await run([...SELF, "status", app, "--json"], { env, quiet: true })).text);
}

async function pushAfterKill(stage: Stage): Promise<void> {
  await pushVersion(stage, 4);
  const { strays, isHealthy } = await statusOf(stage);
  if (strays.length > 0 || isHealthy !== true)
    throw new DpError("command", `${strays.join(", ") || "nothing"} runs that should not; healthy: ${isHealthy}`);
}

async function pushOnFullDisk(stage: Stage): Promise<string | void> {
  if (!hasSmallDisk(stage.app)) return mountProblem() ?? "no small disk can be mounted here";
  await commit(stage, 5, "Find no room");
  await withFullDisk(stage.app, () => push(stage, "is refused"));
  await answers(stage, "version 4");
}

// The disk is not filled, which would harm other apps: the deploy asks for more space than any disk has.
async function pushWithoutRoom(stage: Stage): Promise<void> {
  const { releases } = places(stage.app);
  const [before, config] = [readdirSync(releases).sort(), await configure(stage.app, { minFree: "999999999g" })];
  try {
    await commit(stage, 6, "Ask for room");
    await push(stage, "is refused");
  } finally {
    await writeFileAtomic(places(stage.app).config, config);
  }
  await answers(stage, "version 4");
  if (!Bun.deepEquals(readdirSync(releases).sort(), before))
    throw new DpError("command", `the refused push left something in ${releases}`);
}

async function rollBack(stage: Stage): Promise<void> {
  await dp(stage, "rollback", stage.app);
  await answers(stage, "version 2");
}

/** Waits until `check` succeeds, for a minute at most. Throws DpError "command". */
export async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + PATIENCE; !(await check()); await Bun.sleep(20)) {
    if (performance.now() > end) throw new DpError("command", `${what} did not come`);
  }
}
