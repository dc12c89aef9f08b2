// The report as Prometheus' text format: few series, base units, no time stamps.
import type { AppReport, Report } from "./document.ts";
import type { KeptApp } from "./kept.ts";

type Labels = Record<string, string>;

interface Metric {
  name: string;
  type: "gauge" | "counter";
  help: string;
  samples: { labels: Labels; value: number }[];
}

/** How many runs of an app ended in which way, with those whose record is gone. */
export type Ends = KeptApp["gone"];

/** The ends of all runs that are kept. */
export function endsOf({ gone, runs }: KeptApp): Ends {
  const ends: Ends = { good: gone.good, failed: gone.failed, superseded: gone.superseded };
  for (const { state } of Object.values(runs)) ends[state]++;
  return ends;
}

/** The text of all metrics. */
export function metricsText(report: Report, ends: ReadonlyMap<string, Ends>): string {
  return metricsOf(report, ends)
    .filter(({ samples }) => samples.length > 0)
    .map(({ name, type, help, samples }) => {
      const lines = samples.map(({ labels, value }) => `${name}${labelText(labels)} ${numberText(value)}`);
      return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines, ""].join("\n");
    })
    .join("");
}

const numberText = (value: number) => (Number.isFinite(value) ? String(value) : "NaN");

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

const escaped = (value: string) => value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");

function metricsOf(report: Report, ends: ReadonlyMap<string, Ends>): Metric[] {
  const { apps, dp, now } = report;
  const single = (name: string, help: string, value: number, labels: Labels = {}): Metric => {
    return { name, type: "gauge", help, samples: [{ labels, value }] };
  };
  return [
    single("dp_info", "The version of dp.", 1, { version: dp }),
    single("dp_collected_timestamp_seconds", "When these metrics were collected.", now),
    ...ofApps(apps),
    ...ofRuns(apps, ends),
  ];
}

/** One sample for each app that has a value. */
function each(
  apps: readonly AppReport[],
  [name, type, help]: readonly [string, Metric["type"], string],
  valueOf: (app: AppReport) => number | null,
): Metric {
  const samples = apps.flatMap((app) => {
    const value = valueOf(app);
    return value === null ? [] : [{ labels: { app: app.app }, value }];
  });
  return { name, type, help, samples };
}

/** Whether it serves; null: nobody wants it to. */
function upOf({ state, health, ms, procs }: AppReport): number | null {
  if (state === "stopped" || state === "empty") return null;
  if (state === "unknown") return 0;
  return Number(health === null ? procs.running > 0 : ms !== null);
}

function ofApps(apps: readonly AppReport[]): Metric[] {
  const perApp = (name: string, type: Metric["type"], help: string, valueOf: (app: AppReport) => number | null) =>
    each(apps, [name, type, help], valueOf);
  return [
    perApp("dp_app_up", "gauge", "Whether the app passes its health check.", upOf),
    infoOf(apps),
    perApp("dp_app_health_seconds", "gauge", "How long the health check took.", ({ ms }) =>
      ms === null ? null : Number((ms / 1_000).toFixed(4)),
    ),
    perApp("dp_app_restarts_total", "counter", "Restarts after crashes.", ({ live, restarts }) =>
      live === null ? null : restarts,
    ),
    processesOf(apps),
    perApp("dp_app_memory_bytes", "gauge", "Memory of all processes.", ({ mem }) => mem),
    perApp("dp_app_live_since_timestamp_seconds", "gauge", "When the live release went live.", ({ at }) => at),
    perApp("dp_front_requests_total", "counter", "Requests since the front started.", ({ requests }) => requests),
    perApp("dp_front_failed_total", "counter", "Requests that failed since the front started.", ({ failed }) => failed),
    perApp("dp_front_connections", "gauge", "Open connections of clients.", ({ connections }) => connections),
    perApp("dp_app_locked", "gauge", "Whether somebody has locked the app.", ({ lock }) => Number(lock !== null)),
    perApp("dp_app_maintenance", "gauge", "Whether the app is closed to its clients.", ({ maintenance }) =>
      Number(maintenance !== null),
    ),
    perApp("dp_app_deploying", "gauge", "Whether a deploy is running.", ({ deploying }) => Number(deploying !== null)),
  ];
}

function infoOf(apps: readonly AppReport[]): Metric {
  const samples = apps.flatMap(({ app, type, live, manager }) =>
    live === null ? [] : [{ labels: { app, type: type ?? "", release: live, manager: manager ?? "" }, value: 1 }],
  );
  return { name: "dp_app_info", type: "gauge", help: "What is live.", samples };
}

function processesOf(apps: readonly AppReport[]): Metric {
  const samples = apps.flatMap(({ app, processes }) =>
    processes.map(({ process, state, count }) => ({ labels: { app, process, state }, value: count })),
  );
  return { name: "dp_app_processes", type: "gauge", help: "Processes by their state.", samples };
}

function ofRuns(apps: readonly AppReport[], ends: ReadonlyMap<string, Ends>): Metric[] {
  const total: Metric = {
    name: "dp_deploys_total",
    type: "counter",
    help: "Deploys, rollbacks and restarts that ended.",
    samples: [],
  };
  const took: Metric = {
    name: "dp_deploy_duration_seconds",
    type: "gauge",
    help: "How long the steps of the live release took.",
    samples: [],
  };
  const until: Metric = {
    name: "dp_certificate_not_after_timestamp_seconds",
    type: "gauge",
    help: "When a certificate ends.",
    samples: [],
  };
  for (const { app, live, runs, certs } of apps) {
    for (const [result, value] of Object.entries(ends.get(app) ?? {}))
      total.samples.push({ labels: { app, result }, value });
    const run = runs.findLast(([, , id]) => id === live);
    if (run) took.samples.push({ labels: { app, release: run[2] }, value: Math.round(run[0]) / 1_000 });
    for (const { name, until: end } of certs) if (end !== null) until.samples.push({ labels: { name }, value: end });
  }
  // The same name twice would be the same series twice.
  until.samples = until.samples.filter(
    ({ labels }, at) => until.samples.findIndex((other) => other.labels["name"] === labels["name"]) === at,
  );
  return [total, took, until];
}
