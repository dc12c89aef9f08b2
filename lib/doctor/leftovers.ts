// What was left lying: temp files, places in the queue, runs that were interrupted, trees of old failures, foreign names.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { byDoctor, byHand, type Check, type Finding, type Patient } from "../contracts/check.ts";
import { removeStaleTemps, staleTemps } from "../host/files.ts";
import { places } from "../paths.ts";
import { contextOf, DAMAGED, runsOf } from "../release/history.ts";
import { releasesOnDisk, removeFailed } from "../release/prune.ts";
import { stalePlaces, sweep } from "../deploy/queue.ts";

const check: Check = {
  summary: "stale files, interrupted runs, foreign names",
  atRest: true,
  app: async (patient) => [
    ...(await tempFindings(patient)),
    ...(await queueFindings(patient)),
    ...(await runFindings(patient)),
    ...(await foreignFindings(patient)),
  ],
};
export default check;

async function tempFindings({ app }: Patient): Promise<Finding[]> {
  const { base, runs, instances } = places(app);
  const findings: Finding[] = [];
  for (const folder of [base, runs, instances].filter(existsSync)) {
    const stale = await staleTemps(folder);
    if (stale.length === 0) continue;
    findings.push(
      byDoctor("warning", `${folder} has temp files of processes that are gone: ${stale.join(", ")}`, app, async () => {
        await removeStaleTemps(folder);
        return `removed ${stale.join(", ")}`;
      }),
    );
  }
  return findings;
}

async function queueFindings({ app }: Patient): Promise<Finding[]> {
  const stale = await stalePlaces(app);
  if (stale.length === 0) return [];
  const what = `${stale.join(", ")} waited for a turn and ended meanwhile`;
  return [
    byDoctor("warning", what, app, async () => {
      await sweep(app);
      return `took ${stale.join(", ")} out of the queue`;
    }),
  ];
}

async function runFindings({ app, server, io }: Patient): Promise<Finding[]> {
  const runs = await runsOf(app);
  const unfinished = runs.filter(({ state, run }) => state === "unfinished" && Object.keys(run.journal).length > 0);
  const findings = unfinished.map(({ id }) =>
    byHand(
      "warning",
      `${id} was interrupted; the next deploy ends it`,
      id === runs.at(-1)?.id ? `dp resume ${app}` : `dp deploy ${app}`,
    ),
  );
  const failed = runs.filter(({ id, state }) => state === "failed" && existsSync(join(places(app).releases, id)));
  const older = failed.slice(0, -1).map(({ id }) => id);
  if (older.length === 0) return findings;
  const remove = async () => {
    await removeFailed(app, failed.at(-1)!.id, server.user, io);
    return `removed the files of ${older.join(", ")}`;
  };
  return [...findings, byDoctor("warning", `${older.join(", ")} failed, and the files are still there`, app, remove)];
}

async function foreignFindings({ app }: Patient): Promise<Finding[]> {
  const { releases, base } = places(app);
  if (!existsSync(releases)) return [];
  const { ids, foreign } = await releasesOnDisk(app);
  const away = (name: string) => `mv ${join(releases, name)} ${base}/`;
  // One whose damaged record was put aside has been told already.
  const isKnown = (id: string) => existsSync(contextOf(app, id)) || existsSync(`${contextOf(app, id)}${DAMAGED}`);
  const unknown = ids.filter((id) => !isKnown(id));
  return [
    ...foreign.map((name) => byHand("warning", `${join(releases, name)} is not dp's`, away(name))),
    ...unknown.map((id) =>
      byHand("warning", `nothing is known of ${join(releases, id)}; the next deploy removes it`, away(id)),
    ),
  ];
}
