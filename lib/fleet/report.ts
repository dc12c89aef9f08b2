// The report of this server: its figures, all its apps, and what `dp doctor` found lately.
import { appNames } from "../config/server.ts";
import { allInParts } from "../host/turns.ts";
import { version } from "../host/version.ts";
import { readWatch } from "../watch/state.ts";
import { appReport, mutedUntil } from "./app-report.ts";
import type { AppReport, Report } from "./document.ts";
import { keptApps, keptFindings, type KeptApp } from "./kept.ts";
import { machine } from "./machine.ts";

/** Seconds after which `dp doctor` is asked again. */
const FINDINGS_AGE = 3_600;

/** A report, and what it was made from. */
interface Made {
  report: Report;
  /** The findings are to be renewed. */
  isStale: boolean;
  /** What is kept of each app. */
  kept: ReadonlyMap<string, KeptApp>;
}

/** What a report is about, and how closely it looks. */
export interface Wanted {
  /** These apps alone. */
  only?: readonly string[] | undefined;
  /** How many runs of each app are read at most. */
  most?: number;
  /** False: no health check is asked, where `dp watch` has looked. */
  isProbing?: boolean;
}

/** Whether a finding names the release that was live when it was found, and is not live any more. */
function isPast(name: string, what: string, liveThen: Record<string, string>, apps: readonly AppReport[]): boolean {
  const then = liveThen[name];
  const now = apps.find(({ app }) => app === name)?.live ?? null;
  return then !== undefined && now !== null && then !== now && what.includes(then);
}

/** The report of this server. */
export async function makeReport({ only, most, isProbing = true }: Wanted = {}): Promise<Made> {
  const now = Math.floor(Date.now() / 1000);
  const all = await appNames();
  const names = only === undefined ? all : all.filter((name) => only.includes(name));
  const kept = await keptApps();
  const watched = (await readWatch())?.apps ?? {};
  const [figures, made, found] = await Promise.all([
    machine(),
    allInParts(names, (name) =>
      appReport(name, kept.apps.get(name), now, { most, seen: isProbing ? null : (watched[name] ?? null) }),
    ),
    keptFindings(),
  ]);
  for (const { report, kept: own } of made) {
    if (own) kept.apps.set(report.app, own);
    // It looks all the time, and so knows better since when.
    const seen = watched[report.app];
    if (report.state === "down" && seen?.state === "down") report.since = Math.floor(Date.parse(seen.since) / 1000);
  }
  await kept.save(all);
  const apps = made.map(({ report }) => report);
  const findings = (found?.findings ?? []).filter(({ app, what }) =>
    app === null ? only === undefined : names.includes(app) && !isPast(app, what, found?.live ?? {}, apps),
  );
  const findingsAt = found?.at ?? null;
  const report: Report = { v: 1, now, dp: version, ...figures, muted: mutedUntil(null), findings, findingsAt, apps };
  return { report, isStale: found === null || now - found.at > FINDINGS_AGE, kept: kept.apps };
}
