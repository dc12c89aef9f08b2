// `dp report`: this server's part of a fleet, and the look for findings that it starts once an hour.
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { tryLock } from "../host/lock.ts";
import { SELF, selfEnv } from "../host/self.ts";
import { HERE } from "../fleet/attention.ts";
import type { Report, ServerView } from "../fleet/document.ts";
import { findingsLock, keepFindings } from "../fleet/kept.ts";
import { printLines } from "../fleet/paint.ts";
import { makeReport, type Wanted } from "../fleet/report.ts";
import { fleetLines } from "../fleet/table.ts";
import { withoutPaths } from "../fleet/words.ts";
import { examine } from "./doctor.ts";

/** The report, of these apps or of all; when the findings are older than an hour, a process that renews them is left behind. */
export async function report(wanted: Wanted): Promise<Report> {
  const made = await makeReport(wanted);
  if (made.isStale) lookInBackground();
  return made.report;
}

// `dp doctor` may take seconds, and who asked for the report waits for it.
function lookInBackground(): void {
  const stdio = { stdin: "ignore", stdout: "ignore", stderr: "ignore" } as const;
  Bun.spawn([...SELF, "report", "--look"], { ...stdio, cwd: "/", env: selfEnv(), detached: true }).unref();
}

/** Asks `dp doctor` and keeps what it found; nothing when somebody else is just doing that. */
export async function renewFindings(): Promise<void> {
  mkdirSync(dirname(findingsLock()), { recursive: true, mode: 0o755 });
  const lock = tryLock(findingsLock());
  if (lock === null) return;
  try {
    const { found } = await examine(undefined);
    const findings = found.map(({ app, check, severity, what }) => ({
      app,
      check,
      severity,
      what: withoutPaths(what),
    }));
    await keepFindings({ at: Math.floor(Date.now() / 1000), findings });
  } finally {
    lock.release();
  }
}

/** Prints a report for people. */
export function printReport(report: Report): void {
  const here: ServerView = { name: HERE, address: report.host, seen: report.now, error: null, report };
  printLines(fleetLines([here], report.now, process.stdout.columns || 100));
}
