// The deploy branch, beside what is live: they differ after a rollback, or when another commit was deployed.
import type { App } from "../contracts/app.ts";
import { tipOf } from "../git/ref.ts";
import { factOf } from "../pipeline/run-file.ts";
import { fact } from "../pipeline/facts.ts";
import { runsOf } from "./history.ts";

/** How the deploy branch differs from the live release: `main is at 2a33083, and 1-17f40ef is live`. */
export interface Apart {
  what: string;
  /** Somebody chose it: by a rollback, or by `dp deploy` of another commit. */
  isWanted: boolean;
}

/** How the deploy branch differs from the live release; null: it does not, or there is none. */
export async function branchApart(app: App): Promise<Apart | null> {
  const { branch } = app.server;
  const live = await app.live();
  const tip = await tipOf(app.places.repo, `refs/heads/${branch}`);
  const runs = await runsOf(app);
  const run = runs.find(({ id }) => id === live)?.run;
  if (run === undefined || tip === "" || factOf(run, "sha", fact.sha) === tip) return null;
  const isWanted = runs.at(-1)?.run.facts["kind"] === "rollback" || run.facts["push"] === null;
  return { what: `${branch} is at ${tip.slice(0, 7)}, and ${live} is live`, isWanted };
}
