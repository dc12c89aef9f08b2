// `dp apps`: every app of the server in one line each, quickly and without network requests.
import { factOf } from "../pipeline/run-file.ts";
import { DpError, messageOf } from "../errors.ts";
import { fact } from "../pipeline/facts.ts";
import type { App } from "../contracts/app.ts";
import { isWeb, processOf } from "../text/ids.ts";
import { newestRun, readOnce, runFile } from "../release/history.ts";
import { wantedIds } from "../release/processes.ts";
import { knownApp, mistakeOf } from "../release/known-app.ts";
import { appNames } from "../config/server.ts";
import { inShares, type Task } from "../host/shares.ts";
import { table, when } from "../text/table.ts";
import type { InstanceStatus } from "../host/instance.ts";

export interface AppRow {
  app: string;
  /** Null before the first good deploy. */
  type: string | null;
  manager: string | null;
  port: number | null;
  env: string | null;
  /** The live release, or null. */
  live: string | null;
  /** The state that its manager reports; null: nothing is live. */
  process: InstanceStatus | null;
  /** When the live release last passed its health check, ISO 8601. */
  healthyAt: string | null;
  /** The newest run, or null. */
  lastRun: { id: string; kind: string; state: string; by: string; startedAt: string } | null;
  /** The error in config.yml, or the reason why the row is incomplete; null: none. */
  error: string | null;
}

/** Every app, or those of `names`, sorted by name; a damaged one shows its error and hides no other. */
export async function apps(names?: readonly string[]): Promise<AppRow[]> {
  const rows = await inShares(names ?? (await appNames()), "lib/commands/some-apps.ts", rowsOf);
  return rows.map((row) => {
    if (row.status === "rejected") throw row.reason;
    return row.value;
  });
}

/** The row of each of these apps. */
export const rowsOf: Task<AppRow> = (names) => Promise.allSettled(names.map(rowOf));

const UNKNOWN = {
  type: null,
  manager: null,
  port: null,
  env: null,
  live: null,
  process: null,
  healthyAt: null,
  lastRun: null,
  error: null,
};

async function rowOf(name: string): Promise<AppRow> {
  const row: AppRow = { app: name, ...UNKNOWN };
  try {
    const { app, mistake } = await knownApp(name);
    const { manager, port, env } = app.server;
    row.error = mistake;
    Object.assign(row, { manager, port, env, live: await app.live() });
    row.lastRun = await lastRunOf(app);
    if (row.live !== null) Object.assign(row, await liveOf(app, row.live));
  } catch (error) {
    row.error = error instanceof DpError ? mistakeOf(error) : messageOf(error);
  }
  return row;
}

async function liveOf(app: App, id: string) {
  const run = await readOnce(runFile(app, id)); // most often that of the newest run
  const config = factOf(run, "config", fact.config);
  const process = await worstOf(app, id, await wantedIds(app, id, config));
  const healthyAt = "healthyAt" in run.facts ? factOf(run, "healthyAt", fact.healthyAt) : null;
  return { type: config.type, process, healthyAt };
}

/** The state of the release's processes: the first that does not run speaks for all. */
async function worstOf({ name, manager }: App, id: string, wanted: readonly string[]): Promise<InstanceStatus> {
  const ids = wanted.length > 0 ? wanted : [id];
  const states = await Promise.all(ids.map((one) => manager.status({ app: name, id: one })));
  const at = states.findIndex(({ state }) => state !== "running");
  if (at < 0) return states[0]!;
  const ill = states[at]!;
  return isWeb(ids[at]!) ? ill : { ...ill, detail: [processOf(ids[at]!), ill.detail].filter(Boolean).join(" ") };
}

async function lastRunOf(app: App): Promise<AppRow["lastRun"]> {
  const last = await newestRun(app);
  if (last === null) return null;
  const text = (name: string) => String(last.run.facts[name] ?? "");
  return { id: last.id, kind: text("kind"), state: last.state, by: text("by"), startedAt: text("startedAt") };
}

/** The rows as a table for people. */
export function appLines(rows: readonly AppRow[]): string[] {
  if (rows.length === 0) return ["no app yet: dp setup APP"];
  return table(
    ["APP", "TYPE", "MANAGER", "PORT", "LIVE", "HEALTH", "LAST DEPLOY"],
    rows.map((row) => [
      ...[row.app, row.type ?? "-", row.manager ?? "-", String(row.port ?? "-"), row.live ?? "-"],
      row.process !== null && row.error !== null ? `${healthOf(row)}; ${row.error}` : (row.error ?? healthOf(row)),
      row.lastRun === null ? "-" : `${row.lastRun.id} ${row.lastRun.state}, ${when(row.lastRun.startedAt)}`,
    ]),
  );
}

function healthOf({ process, healthyAt }: AppRow): string {
  if (process === null) return "-";
  if (process.state !== "running") return process.detail ? `${process.state}: ${process.detail}` : process.state;
  const restarts = process.restarts > 0 ? `, ${process.restarts} restarts since` : "";
  return healthyAt === null ? `running${restarts}` : `running, healthy ${when(healthyAt)}${restarts}`;
}
