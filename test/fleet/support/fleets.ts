// Reports and fleets for tests: an app that is well, changed as a test wants it.
import type { AppReport, Report, ServerView } from "../../../lib/fleet/document.ts";

/** The time of every document here, in seconds since 1970. */
export const NOW = 1_800_000_000;
const GB = 1024 ** 3;

/** An app that is well, but for `more`. */
export function appWith(name: string, more: Partial<AppReport> = {}): AppReport {
  const well: AppReport = {
    app: name,
    type: "python",
    manager: "systemd",
    url: "http://127.0.0.1:8000",
    live: "42-3f9c2ab",
    subject: "Let editors undo",
    by: "colleague@203.0.113.9",
    at: NOW - 7_200,
    state: "ok",
    health: "200",
    ms: 15.4,
    since: NOW - 7_200,
    detail: "",
    restarts: 0,
    mem: 27 * 1024 ** 2,
    procs: { running: 1, wanted: 1 },
    processes: [{ process: "web", state: "running", count: 1 }],
    failing: [],
    requests: 389,
    failed: 0,
    connections: 3,
    minutes: Array.from({ length: 60 }, (): [number, number] => [18, 0]),
    runs: [[4_300, "good", "42-3f9c2ab"]],
    lock: null,
    maintenance: null,
    certs: [],
    muted: null,
    owed: null,
    deploying: null,
    lastFailure: null,
  };
  return Object.assign(well, more);
}

export const down = (name: string, more: Partial<AppReport> = {}) =>
  appWith(name, { state: "down", health: "502", ms: null, since: NOW - 252, ...more });

export const failure = (more: Partial<NonNullable<AppReport["lastFailure"]>> = {}): AppReport["lastFailure"] =>
  Object.assign(
    { id: "41-77aa01b", step: "build", error: "npm ci exited with code 1", by: "ci", at: NOW - 7_300, code: 6 },
    more,
  );

export const deploying = (name: string, more: Partial<NonNullable<AppReport["deploying"]>> = {}) =>
  appWith(name, {
    state: "deploying",
    deploying: Object.assign(
      { id: "88-1c2d3e4", subject: "Fix rounding", by: "ci", step: "check", index: 9, of: 15, began: NOW - 9 },
      more,
    ),
  });

/** A report with these apps. */
export function reportWith(apps: AppReport[], more: Partial<Report> = {}): Report {
  const well: Report = {
    ...{ v: 1, now: NOW, host: "vm", dp: "0.3.0", os: "Debian GNU/Linux 12 (bookworm)", up: 41 * 86_400 + 5 },
    ...{ load: 0.89, cpus: 2, mem: { used: 2.4 * GB, total: 4 * GB } },
    ...{
      disk: { used: 29 * GB, total: 80 * GB, inodes: 0.1 },
      reboot: false,
      muted: null,
      findings: [],
      findingsAt: NOW - 60,
      apps,
    },
  };
  return Object.assign(well, more);
}

/** A server that has just answered with these apps. */
export const serverWith = (name: string, apps: AppReport[], more: Partial<Report> = {}): ServerView => ({
  ...{ name, address: "root@203.0.113.5", seen: NOW, error: null },
  report: reportWith(apps, more),
});

/** A server that does not answer; `report` is its last. */
export const lost = (name: string, report: Report | null, address = "root@203.0.113.5"): ServerView => ({
  ...{ name, address, error: "no answer within 10 s", report },
  seen: report === null ? null : NOW - 300,
});
