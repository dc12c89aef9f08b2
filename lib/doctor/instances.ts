// The processes of an app: those that shall run do, nothing else does, and the same come up at boot.
import { byCommand, byHand, type Check, type Finding, type Patient } from "../contracts/check.ts";
import type { Manager } from "../contracts/manager.ts";
import { processOf, releaseOf } from "../paths.ts";
import { damageOf } from "../release/current.ts";
import { liveId } from "../release/history.ts";
import { managerOf } from "../release/manager.ts";
import { wayBack } from "../release/way-back.ts";
import { stoppedByHand, straysOf, wantedOf } from "../release/wanted.ts";

/** Restarts after crashes that are no bad luck any more. */
const OFTEN = 3;

const check: Check = {
  summary: "processes: running as wanted, and coming up at boot",
  atRest: true,
  async app(patient) {
    const { app, server } = patient;
    if (await damageOf(app)) return []; // nobody knows what is wanted
    const managed = await managerOf(server);
    const live = await liveId(app);
    const wanted = await wantedOf(app, live, server, managed);
    const findings = await Promise.all(wanted.map((id) => instanceFindings(patient, id, managed)));
    const strays = (await straysOf(app, live, wanted, managed)).map((id) =>
      byCommand("warning", `${app}@${id} runs, and should not`, "reconcile", app),
    );
    const stopped = await stoppedFindings(patient, live);
    return [...findings.flat(), ...stopped, ...strays, ...(await bootFindings(patient, wanted, managed))];
  },
};
export default check;

async function instanceFindings({ app }: Patient, id: string, managed: Manager): Promise<Finding[]> {
  const { state, restarts, detail, isOrphan } = await managed.status({ app, id });
  const logs = `dp logs ${app} ${processOf(id).split(".")[0]} -n 100`;
  const why = detail ? `: ${detail}` : "";
  if (state === "stopped" || state === "failed")
    return [byCommand("error", `${app}@${id} does not run, it is ${state}${why}`, "reconcile", app)];
  if (state === "waiting")
    return [
      byHand("error", `${app}@${id} has crashed and waits for its next start${why}`, await orBack(app, id, logs)),
    ];
  if (restarts >= OFTEN) {
    const what = `${app}@${id} has crashed ${restarts} times since its start`;
    return [byHand("warning", what, await orBack(app, id, logs))];
  }
  if (isOrphan) return [byCommand("warning", `${app}@${id} runs, but ${detail}`, "reconcile", app)];
  return detail ? [byHand("warning", `${app}@${id} runs, but ${detail}`, `dp restart ${app}`)] : [];
}

/** The command that tells why, and the way back from a release that crashes, when there is one. */
async function orBack(app: string, id: string, logs: string): Promise<string> {
  const live = await liveId(app);
  const back = live === releaseOf(id) ? await wayBack(app, live) : null;
  return back === null ? logs : `${logs}; or go back to ${back}: dp rollback ${app}`;
}

// What somebody has stopped is as they want it.
async function stoppedFindings({ app, server }: Patient, live: string | null): Promise<Finding[]> {
  const { processes, isAll } = await stoppedByHand(app, live, server);
  const [only, ...more] = isAll ? [`all of ${live}`] : processes;
  if (only === undefined) return [];
  const words = isAll ? [""] : processes.map((process) => ` ${process}`);
  const what = `${[only, ...more].join(", ")} ${more.length > 0 ? "were" : "was"} stopped by dp stop`;
  return [byHand("note", what, words.map((word) => `dp start ${app}${word}`).join("; "))];
}

async function bootFindings({ app }: Patient, wanted: readonly string[], managed: Manager): Promise<Finding[]> {
  const enabled = await managed.enabled(app);
  if (Bun.deepEquals(enabled.toSorted(), wanted.toSorted())) return [];
  const names = (ids: readonly string[]) => ids.map((id) => `${app}@${id}`).join(", ") || "nothing";
  return [byCommand("error", `${names(enabled)} comes up at boot, and should be ${names(wanted)}`, "reconcile", app)];
}
