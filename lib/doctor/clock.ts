// The server's clock: a deploy in the future means that it was wrong then, or is wrong now.
import { byHand, type Check } from "../contracts/check.ts";
import { runsOf } from "../release/history.ts";

/** Clocks of virtual machines jump a little. */
const TOLERANCE = 60_000;

const check: Check = {
  summary: "the clock against the times of deploys",
  async app(app) {
    const now = Date.now();
    const times = (await runsOf(app)).map(({ id, run }) => ({ id, at: Date.parse(String(run.facts["startedAt"])) }));
    const ahead = times.filter(({ at }) => at > now + TOLERANCE).at(-1);
    if (!ahead) return [];
    const when = new Date(ahead.at).toISOString();
    const what = `${ahead.id} was begun at ${when}, but the clock is at ${new Date(now).toISOString()}; the order of releases is not affected`;
    return [byHand("warning", what, "timedatectl set-ntp true")];
  },
};
export default check;
