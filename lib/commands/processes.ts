// The processes of the live release by the names that people type: worker, worker.2.
import type { App } from "../contracts/app.ts";
import { DpError } from "../errors.ts";
import { instanceId, processOf } from "../text/ids.ts";
import { requireCurrent } from "../release/current.ts";
import { nothingLive } from "../release/first-deploy.ts";
import { factsOfRelease, type InstanceFacts } from "../release/instance.ts";
import { idsOfRelease, processNames, scaleOf } from "../release/processes.ts";
import { didYouMean } from "../text/suggestion.ts";

/** The live release's facts. Throws DpError "usage" when nothing is live. */
export async function liveFacts(app: App): Promise<InstanceFacts> {
  await requireCurrent(app);
  const live = await app.live();
  if (live === null) throw await nothingLive(app);
  return factsOfRelease(app, live);
}

/** The release's ID, from its facts. */
export const liveOf = ({ release }: InstanceFacts) => release.slice(release.lastIndexOf("/") + 1);

/** Every instance of a release, including those that were stopped by hand. */
export const idsOf = (facts: InstanceFacts): string[] => idsOfRelease(liveOf(facts), facts.config, facts.app.server);

/** The instances that `worker` or `worker.2` names; all of them without a word. Throws DpError "usage". */
export function named(facts: InstanceFacts, word: string | undefined): string[] {
  const { name: app, server } = facts.app;
  const all = idsOf(facts);
  const found = all.filter(
    (id) => word === undefined || processOf(id) === word || processOf(id).split(".")[0] === word,
  );
  if (found.length > 0) return found;
  if (word === undefined) throw new DpError("usage", `${app} has no processes, only cron`);
  const names = processNames(facts.config);
  const [process = ""] = word.split(".");
  if (!names.includes(process))
    throw new DpError("usage", `${app} has no process ${JSON.stringify(process)}; it has ${names.join(", ")}`, {
      ...didYouMean(process, names),
    });
  const hint = `dp scale ${app} ${process}=N`;
  throw new DpError("usage", `${app} runs ${scaleOf(process, server)} of ${process}, but no ${word}`, {
    hint,
  });
}

/** The instances of one process of the live release at that scale. */
export const instancesAt = (facts: InstanceFacts, process: string, count: number) =>
  Array.from({ length: count }, (_, index) => instanceId(liveOf(facts), process, index + 1));
