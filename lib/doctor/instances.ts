// The processes of an app: exactly those that should run do, and the same ones start at boot.
import { byCommand, byHand, type Check, type Finding } from "../contracts/check.ts";
import type { App } from "../contracts/app.ts";
import { processOf, releaseOf } from "../text/ids.ts";
import { damageOf } from "../release/current.ts";
import { rollbackTarget } from "../release/rollback-target.ts";
import { stoppedByHand, straysOf, wantedOf } from "../release/wanted.ts";
import { warmIds } from "../release/warm.ts";

/** The number of restarts after crashes that is more than bad luck. */
const OFTEN = 3;

const check: Check = {
  summary: "processes: running as wanted, and coming up at boot",
  atRest: true,
  async app(app) {
    if (await damageOf(app)) return []; // without current nobody knows which should run
    const { name } = app;
    const live = await app.live();
    const wanted = await wantedOf(app, live);
    const findings = await Promise.all(wanted.map((id) => instanceFindings(app, id)));
    const instances = await app.manager.instances(name);
    const strays = (await straysOf(app, { live, wanted, instances, warm: await warmIds(app) })).map((id) =>
      byCommand("warning", `${name}@${id} runs, but should not`, "reconcile", name),
    );
    const stopped = await stoppedFindings(app, live);
    return [...findings.flat(), ...stopped, ...strays, ...(await bootFindings(app, wanted))];
  },
};
export default check;

async function instanceFindings(app: App, id: string): Promise<Finding[]> {
  const { name, manager } = app;
  const { state, restarts, detail, isOrphan } = await manager.status({ app: name, id });
  const logs = `dp logs ${name} ${processOf(id).split(".")[0]} -n 100`;
  const why = detail ? `: ${detail}` : "";
  if (state === "stopped" || state === "failed")
    return [byCommand("error", `${name}@${id} is not running, it is ${state}${why}`, "reconcile", name)];
  if (state === "waiting")
    return [
      byHand("error", `${name}@${id} has crashed and waits for its next start${why}`, await orBack(app, id, logs)),
    ];
  if (restarts >= OFTEN) {
    const what = `${name}@${id} has crashed ${restarts} times since its start`;
    return [byHand("warning", what, await orBack(app, id, logs))];
  }
  if (isOrphan) return [byCommand("warning", `${name}@${id} runs, but ${detail}`, "reconcile", name)];
  return detail ? [byHand("warning", `${name}@${id} runs, but ${detail}`, `dp restart ${name}`)] : [];
}

/** The command that shows the cause, and for a crashing release the rollback, if there is a target. */
async function orBack(app: App, id: string, logs: string): Promise<string> {
  const live = await app.live();
  const back = live === releaseOf(id) ? await rollbackTarget(app, live) : null;
  return back === null ? logs : `${logs}; or go back to ${back}: dp rollback ${app.name}`;
}

// A process that somebody has stopped is as they want it.
async function stoppedFindings(app: App, live: string | null): Promise<Finding[]> {
  const { processes, isAll } = await stoppedByHand(app, live);
  const [only, ...more] = isAll ? [`all of ${live}`] : processes;
  if (only === undefined) return [];
  const words = isAll ? [""] : processes.map((process) => ` ${process}`);
  const what = `${[only, ...more].join(", ")} ${more.length > 0 ? "were" : "was"} stopped by dp stop`;
  return [byHand("note", what, words.map((word) => `dp start ${app.name}${word}`).join("; "))];
}

async function bootFindings({ name: app, manager }: App, wanted: readonly string[]): Promise<Finding[]> {
  const enabled = await manager.enabled(app);
  if (Bun.deepEquals(enabled.toSorted(), wanted.toSorted())) return [];
  const names = (ids: readonly string[]) => ids.map((id) => `${app}@${id}`).join(", ") || "nothing";
  return [byCommand("error", `${names(enabled)} starts at boot, but it should be ${names(wanted)}`, "reconcile", app)];
}
