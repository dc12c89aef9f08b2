// The events of the model, done to a sandbox for real.
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PIPELINES } from "../../lib/pipeline/pipeline.ts";
import { deployYml, type Outcome, type Sandbox } from "../support/sandbox.ts";
import type { Event, Model } from "./model.ts";
import type { Kind } from "../../lib/pipeline/facts.ts";

/** What was done: what the release of it says, and how it ended. */
export interface Done {
  says: string;
  outcome: Outcome;
  /** What was done in particular. */
  how: string;
}

/** A deploy.yml whose failures are quick. */
export const QUICK = (app: string, more = "") => deployYml(app, more).replace("startTimeout: 5s", "startTimeout: 1s");

const BAD: Record<string, (app: string) => Record<string, string>> = {
  crash: () => ({ mode: "crash" }),
  unhealthy: () => ({ mode: "unhealthy" }),
  "wrong port": () => ({ mode: "wrong-port" }),
  build: (app) => ({ "deploy.yml": QUICK(app, "build: exit 3\n") }),
  config: (app) => ({ "deploy.yml": QUICK(app, "nonsense: 1\n") }),
};

/** What `current` leads to says. */
export const liveSays = (box: Sandbox) => readFileSync(join(box.base, "current/say"), "utf8");

let commits = 0;

/** Does an event; `pick` chooses one of several by chance. */
export async function happen(
  event: Event,
  box: Sandbox,
  model: Model,
  pick: <T>(from: readonly T[]) => T,
): Promise<Done> {
  const dp = (...args: string[]) => box.dpWith({ DP_TEST_CLOCK: String(model.clock) }, ...args);
  const says = `say-${++commits}`;
  const clean = { say: says, mode: null, "deploy.yml": QUICK(box.app) };
  const did = async (how: string, done: Promise<Outcome>, what = model.live): Promise<Done> => ({
    says: what,
    outcome: await done,
    how,
  });
  const killed = (kind: Kind, ...args: string[]) => {
    const place = `${pick(PIPELINES[kind])}:${pick(["1", "2", "3", "5", "8", "done", "recorded"])}`;
    const env = { DP_TEST_FAILPOINT: place, DP_TEST_CLOCK: String(model.clock) };
    return [`at ${place}`, box.dpWith(env, kind, box.app, ...args)] as const;
  };
  const other = () => pick([...model.good].filter(([id]) => id !== box.link("current")));
  switch (event) {
    case "push":
      await box.commit(clean);
      return did(says, box.push(), says);
    case "badPush": {
      const kind = pick(Object.keys(BAD));
      await box.commit({ ...clean, ...BAD[kind]!(box.app) });
      return did(kind, box.push(), says);
    }
    case "killedDeploy": {
      const sha = await box.commit(clean);
      await box.push("production", "HEAD:refs/heads/side", "--force");
      const [how, done] = killed("deploy", sha);
      return did(`${says} ${how}`, done, says);
    }
    case "rollback":
    case "killedRollback": {
      const [id, what] = other();
      const [how, done] = event === "rollback" ? ["", dp("rollback", box.app, id)] : killed("rollback", id);
      return did(`to ${id} ${how}`, done, what);
    }
    case "killedRestart":
      return did(...killed("restart"));
    case "again":
      return did("", dp("deploy", box.app));
    case "lostCounter":
      pick([() => rmSync(join(box.base, "counter")), () => writeFileSync(join(box.base, "counter"), "many\n")])();
      return did("", dp("deploy", box.app));
    case "damagedRun":
      return damageRun(box, pick, () => did("", dp("deploy", box.app)));
    case "reboot":
      await box.cutPower();
      return did("", dp("reconcile", box.app));
    case "lostPrevious":
      rmSync(join(box.base, "previous"), { force: true });
      return did("", dp("status", box.app));
    case "clockBack":
      model.clock -= 3_600_000;
      return did("", dp("status", box.app));
    case "restart":
    case "resume":
    case "reconcile":
      return did("", dp(event, box.app));
  }
}

/** One that neither live nor previous needs is half written while something is done, and comes back from the backup. */
async function damageRun(box: Sandbox, pick: <T>(from: readonly T[]) => T, action: () => Promise<Done>) {
  const pinned = [box.link("current"), box.link("previous")];
  const isPinned = (id: string) =>
    pinned.includes(id) || pinned.some((one) => String(box.run(id).facts["release"]).endsWith(`/${one}`));
  const others = box.ids().filter((id) => !isPinned(id) && box.run(id).result !== undefined);
  if (others.length === 0) return action();
  const path = join(box.base, "runs", `${pick(others)}.json`);
  const text = readFileSync(path);
  writeFileSync(path, pick(["", text.subarray(0, text.length / 2)]));
  try {
    return await action();
  } finally {
    if (existsSync(path)) writeFileSync(path, text);
  }
}
