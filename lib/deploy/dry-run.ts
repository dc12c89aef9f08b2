// A push with `-o dry-run`: prints what a deploy of its commit would do, and is refused.
import type { App } from "../contracts/app.ts";
import { EXIT } from "../errors.ts";
import { print } from "../text/say.ts";
import { commitOf } from "./begin.ts";
import { planLines, planOf } from "./plan.ts";

/** Prints the plan; answers the exit code. */
export async function dryRun(app: App, sha: string): Promise<number> {
  const plan = await planOf(app, await commitOf(app.places.repo, sha));
  for (const line of planLines(plan)) print(line);
  print("dp: dry run: nothing was deployed, and the push is refused, so that the branch stays where it is");
  return EXIT.usage;
}
