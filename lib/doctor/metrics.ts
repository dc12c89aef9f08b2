// The timer of `dp metrics`: its units must be as this dp would write them, and run.
import { byCommand, byHand, type Check } from "../contracts/check.ts";
import { metricsDrift } from "../watch/metrics-timer.ts";

const check: Check = {
  summary: "the timer of the metrics",
  async server() {
    const found = await metricsDrift();
    if (found === null) return [];
    const { folder, wrong } = found;
    if (folder === null) return wrong.map((what) => byHand("warning", what, "dp metrics --install FOLDER"));
    return wrong.map((what) => byCommand("warning", what, "metrics", "--install", folder));
  },
};
export default check;
