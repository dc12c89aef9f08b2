// The deploy branch: it should point at the live commit, unless somebody chose otherwise.
import { byHand, type Check } from "../contracts/check.ts";
import { tipOf } from "../git/ref.ts";
import { factOf } from "../pipeline/run-file.ts";
import { fact } from "../pipeline/facts.ts";
import { runsOf } from "../release/history.ts";

const check: Check = {
  summary: "the deploy branch, and whether its commit is live",
  atRest: true,
  async app(app) {
    const { name, places, server } = app;
    const { branch } = server;
    const live = await app.live();
    const tip = await tipOf(places.repo, `refs/heads/${branch}`);
    const runs = await runsOf(app);
    const run = runs.find(({ id }) => id === live)?.run;
    if (run === undefined || tip === "") return [];
    const sha = factOf(run, "sha", fact.sha);
    if (sha === tip) return [];
    // After a rollback, or dp deploy of another commit, the difference is intended.
    const isWanted = runs.at(-1)?.run.facts["kind"] === "rollback" || run.facts["push"] === null;
    const what = `${branch} is at ${tip.slice(0, 7)}, and ${live} is live`;
    return [byHand(isWanted ? "note" : "warning", what, `dp deploy ${name}`)];
  },
};
export default check;
