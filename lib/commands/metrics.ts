// `dp metrics`: this server's apps in Prometheus' text format.
import { join } from "node:path";
import { endsOf, metricsText } from "../fleet/metrics.ts";
import { makeReport } from "../fleet/report.ts";
import { writeFileAtomic } from "../host/files.ts";
import { makeIo, silentLog } from "../host/io.ts";
import { template } from "../host/template.ts";
import { installMetrics, removeMetrics, requireFolder } from "../watch/metrics-timer.ts";

/** The metrics as text. */
export async function metrics(): Promise<string> {
  const { report, kept } = await makeReport({ most: Infinity });
  return metricsText(report, new Map([...kept].map(([name, app]) => [name, endsOf(app)])));
}

/** Writes them into a folder as dp.prom, by rename. Throws DpError "usage" when that is no folder. */
export async function writeTextfile(folder: string): Promise<void> {
  requireFolder(folder);
  // node_exporter runs as another user.
  await writeFileAtomic(join(folder, "dp.prom"), await metrics(), 0o644);
}

/** The dashboard for Grafana, as JSON. */
export const dashboard = (): Promise<string> => template("grafana.json");

/** Makes the timer that does so every 15 s; answers one sentence for each change. */
export const install = (folder: string): Promise<string[]> => installMetrics(folder, makeIo(silentLog));

/** Removes that timer. */
export const uninstall = (): Promise<string[]> => removeMetrics(makeIo(silentLog));
