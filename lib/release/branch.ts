// The deploy branch, beside what is live: they differ after a rollback, or when another commit was deployed.
import type { App } from "../contracts/app.ts";
import { tipOf } from "../git/ref.ts";
import { factOf } from "../pipeline/run-file.ts";
import { fact } from "../pipeline/facts.ts";
import { isInterrupted, runsOf } from "./history.ts";

/** How the deploy branch differs from the live release. */
export interface Apart {
  /** `main is at 2a33083, and 1-17f40ef is live`. */
  what: string;
  /** "rollback" and "commit": somebody chose it, by a rollback or by `dp deploy` of another commit; null: nobody did. */
  chosenBy: "rollback" | "commit" | null;
  /** A deploy was interrupted: until it is finished or undone, nothing tells which of the two is right. */
  isUnfinished: boolean;
}

/** How the deploy branch differs from the live release; null: it does not, or there is none. */
export async function branchApart(app: App): Promise<Apart | null> {
  const { branch } = app.server;
  const live = await app.live();
  const tip = await tipOf(app.places.repo, `refs/heads/${branch}`);
  const runs = await runsOf(app);
  const run = runs.find(({ id }) => id === live)?.run;
  if (run === undefined || tip === "" || factOf(run, "sha", fact.sha) === tip) return null;
  // A restart puts the same commit live again, and what failed has changed nothing.
  const last = runs.findLast(({ state, run: { facts } }) => state === "good" && facts["kind"] !== "restart");
  const chosenBy = last?.run.facts["kind"] === "rollback" ? "rollback" : run.facts["push"] === null ? "commit" : null;
  const what = `${branch} is at ${tip.slice(0, 7)}, and ${live} is live`;
  return { what, chosenBy, isUnfinished: runs.some(isInterrupted) };
}
