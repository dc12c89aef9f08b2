// `dp report`: this server's part of a fleet, and the look for findings that it starts once an hour.
import { SELF, selfEnv } from "../host/self.ts";
import { HERE } from "../fleet/attention.ts";
import type { Report, ServerView } from "../fleet/document.ts";
import { printLines } from "../fleet/paint.ts";
import { makeReport, type Wanted } from "../fleet/report.ts";
import { fleetLines } from "../fleet/table.ts";

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

/** Prints a report for people. */
export function printReport(report: Report): void {
  const here: ServerView = { name: HERE, address: report.host, seen: report.now, error: null, report };
  printLines(fleetLines([here], report.now, process.stdout.columns || 100));
}
