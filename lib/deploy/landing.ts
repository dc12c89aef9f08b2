// Where a branch is about to be: git moves it a moment after the deploy of its push has ended.
import { factOf } from "../pipeline/context.ts";
import { fact } from "../pipeline/facts.ts";
import type { Push } from "./gate.ts";
import { runsOf } from "../release/history.ts";

/** What a push has brought that git may not have moved the branch to yet. */
export interface Landing {
  /** Where the branch was before it. */
  old: string;
  sha: string;
}

/** The newest good deploy of a push to that branch that ended while run `id` waited for its turn, or null. */
export async function landingOf(app: string, id: string, { ref }: Push): Promise<Landing | null> {
  const runs = await runsOf(app);
  const mine = runs.find((past) => past.id === id);
  if (!mine) return null;
  const since = factOf(mine.run, "startedAt", fact.startedAt);
  for (const { id: other, run, state } of runs.toReversed()) {
    if (other === id || state !== "good" || (run.result?.endedAt ?? "") < since) continue;
    const push = factOf(run, "push", fact.push);
    if (push?.ref === ref) return { old: push.old, sha: factOf(run, "sha", fact.sha) };
  }
  return null;
}
