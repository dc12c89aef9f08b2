// The report of this server: its figures, all its apps, and what `dp doctor` found lately.
import { appNames } from "../config/server.ts";
import { version } from "../host/version.ts";
import { appReport } from "./app-report.ts";
import type { Report } from "./document.ts";
import { keptApps, keptFindings } from "./kept.ts";
import { machine } from "./machine.ts";

/** Seconds after which `dp doctor` is asked again. */
const FINDINGS_AGE = 3_600;

/** The report of this server, or of these apps alone; `isStale`: the findings are to be renewed. */
export async function makeReport(only?: readonly string[]): Promise<{ report: Report; isStale: boolean }> {
  const now = Math.floor(Date.now() / 1000);
  const all = await appNames();
  const names = only === undefined ? all : all.filter((name) => only.includes(name));
  const kept = await keptApps();
  const [figures, made, found] = await Promise.all([
    machine(),
    Promise.all(names.map((name) => appReport(name, kept.apps.get(name), now))),
    keptFindings(),
  ]);
  for (const { report, kept: own } of made) if (own) kept.apps.set(report.app, own);
  await kept.save(all);
  const findings = (found?.findings ?? []).filter(({ app }) =>
    app === null ? only === undefined : names.includes(app),
  );
  const apps = made.map(({ report }) => report);
  const report: Report = { v: 1, now, dp: version, ...figures, findings, findingsAt: found?.at ?? null, apps };
  return { report, isStale: found === null || now - found.at > FINDINGS_AGE };
}
