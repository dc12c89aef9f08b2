// Notifications: notify.yml, the look and the sender, and targets that cannot be reached.
import { byCommand, byHand, type Check, type Finding } from "../contracts/check.ts";
import { DpError } from "../errors.ts";
import { mistakeOf } from "../release/known-app.ts";
import { notifyFile, readNotify } from "../notify/file.ts";
import { describeAttempt } from "../notify/once.ts";
import { lastLog, rowOf } from "../notify/queue.ts";
import { senderDrift } from "../notify/service.ts";
import { hasTargets, notifyFolder, type Targets } from "../notify/targets.ts";
import { lookDrift } from "../watch/timer.ts";

/** How many lines of the log are searched, and how old a failure may be, in ms. */
const SEARCHED = 2_000;
const LATELY = 24 * 3_600_000;
/** Tries after which a message that waits is worth a line. */
const TRIES = 3;

function unreached({ to }: Targets): Finding[] {
  const folder = notifyFolder();
  const lines = lastLog(folder, SEARCHED).filter(({ time }) => Date.now() - Date.parse(time) < LATELY);
  return Object.entries(to).flatMap(([name, { kind }]) => {
    const last = lines.findLast(({ target }) => target === name);
    const [waiting] = rowOf(folder, name);
    const isStuck = waiting !== undefined && waiting.tries >= TRIES;
    const said = last?.end === "given up" ? last.said : isStuck ? waiting.said : null;
    return said === null ? [] : [byHand("warning", describeAttempt({ kind, name }, said), `dp notify test ${name}`)];
  });
}

const check: Check = {
  summary: "notify.yml, the look and the sender",
  async server() {
    let targets: Targets | null;
    try {
      targets = await readNotify();
    } catch (error) {
      if (!(error instanceof DpError) || error.exit !== "config") throw error;
      return [byHand("error", `${mistakeOf(error)}; what was there before holds`, `editor ${notifyFile()}`)];
    }
    const isWanted = targets !== null && Object.keys(targets.to).length > 0;
    if (!isWanted || targets === null)
      return hasTargets() ? [byCommand("warning", "notify.yml has no target, and dp still looks", "reconcile")] : [];
    if (!hasTargets()) return [byCommand("warning", "notify.yml has targets, and dp does not look yet", "reconcile")];
    const drift = [...(await senderDrift(targets)), ...(await lookDrift())];
    return [...drift.map((what) => byCommand("warning", what, "reconcile")), ...unreached(targets)];
  },
};
export default check;
