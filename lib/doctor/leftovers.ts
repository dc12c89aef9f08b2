// Left-overs: temp files, queue files, interrupted runs, trees of old failures, unknown names.
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { App } from "../contracts/app.ts";
import { byDoctor, byHand, type Check, type Finding } from "../contracts/check.ts";
import { removeStaleTemps, staleTemps } from "../host/files.ts";
import type { Io } from "../host/io.ts";
import { DAMAGED, isInterrupted, runFile, runsOf } from "../release/history.ts";
import { releasesOnDisk, removeFailed } from "../release/prune.ts";
import { stalePlaces, sweep } from "../deploy/queue.ts";

const check: Check = {
  summary: "stale files, interrupted runs, foreign names",
  atRest: true,
  app: async (app, io) => [
    ...(await tempFindings(app)),
    ...(await queueFindings(app)),
    ...(await runFindings(app, io)),
    ...(await foreignFindings(app)),
  ],
};
export default check;

async function tempFindings({ name, places }: App): Promise<Finding[]> {
  const { base, runs, instances } = places;
  const findings: Finding[] = [];
  for (const folder of [base, runs, instances].filter(existsSync)) {
    const stale = await staleTemps(folder);
    if (stale.length === 0) continue;
    findings.push(
      byDoctor(
        "warning",
        `${folder} has temp files of processes that are gone: ${stale.join(", ")}`,
        name,
        async () => {
          await removeStaleTemps(folder);
          return `removed ${stale.join(", ")}`;
        },
      ),
    );
  }
  return findings;
}

async function queueFindings(app: App): Promise<Finding[]> {
  const stale = await stalePlaces(app);
  if (stale.length === 0) return [];
  const what = `${stale.join(", ")} waited in the queue and are gone`;
  return [
    byDoctor("warning", what, app.name, async () => {
      await sweep(app);
      return `removed ${stale.join(", ")} from the queue`;
    }),
  ];
}

async function runFindings(app: App, io: Io): Promise<Finding[]> {
  const { name, places } = app;
  const runs = await runsOf(app);
  const unfinished = runs.filter(isInterrupted);
  const findings = unfinished.map(({ id }) =>
    byHand(
      "warning",
      `${id} was interrupted; the next deploy finishes or undoes it`,
      id === runs.at(-1)?.id ? `dp resume ${name}` : `dp deploy ${name}`,
    ),
  );
  const failed = runs.filter(({ id, state }) => state === "failed" && existsSync(join(places.releases, id)));
  const older = failed.slice(0, -1).map(({ id }) => id);
  if (older.length === 0) return findings;
  const remove = async () => {
    await removeFailed(app, failed.at(-1)!.id, io);
    return `removed the files of ${older.join(", ")}`;
  };
  return [...findings, byDoctor("warning", `${older.join(", ")} failed, and the files are still there`, name, remove)];
}

async function foreignFindings(app: App): Promise<Finding[]> {
  const { releases, base } = app.places;
  if (!existsSync(releases)) return [];
  const { ids, foreign } = await releasesOnDisk(app);
  const away = (name: string) => `mv ${join(releases, name)} ${base}/`;
  // A damaged record that was put aside has been reported already.
  const isKnown = (id: string) => existsSync(runFile(app, id)) || existsSync(`${runFile(app, id)}${DAMAGED}`);
  const unknown = ids.filter((id) => !isKnown(id));
  return [
    ...foreign.map((name) => byHand("warning", `${join(releases, name)} is not dp's`, away(name))),
    ...unknown.map((id) =>
      byHand("warning", `nothing is known of ${join(releases, id)}; the next deploy removes it`, away(id)),
    ),
  ];
}
