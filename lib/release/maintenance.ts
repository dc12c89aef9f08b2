// The maintenance of an app: while it lasts, clients get a page. It is a file, so that it outlives reboots.
import type { App, NamedApp } from "../contracts/app.ts";
import type { Maintenance as Told, RouteStatus } from "../contracts/front.ts";
import { DpError } from "../errors.ts";
import { passOf } from "../health/own-check.ts";
import { removeFile, syncFolder, textIfThere, writeFileAtomic } from "../host/files.ts";
import { waitForLock } from "../host/lock.ts";
import { frontNames } from "../config/kinds.ts";
import { front } from "../registry.ts";
import { when } from "../text/table.ts";

/** Who has closed an app, since when (ISO 8601), and the app's own page, HTML. */
export interface Maintenance {
  by: string;
  since: string;
  page: string | null;
}

const fileOf = ({ places }: NamedApp) => `${places.base}/maintenance.json`;

/** The maintenance of an app, or null. A damaged file still closes the app. */
export function maintenanceOf(app: NamedApp): Maintenance | null {
  const text = textIfThere(fileOf(app));
  if (text === null) return null;
  try {
    const { by, since, page } = JSON.parse(text) as Record<string, unknown>;
    if (typeof by === "string" && typeof since === "string")
      return { by, since, page: typeof page === "string" ? page : null };
  } catch {
    // It is damaged.
  }
  return { by: "somebody", since: "", page: null };
}

/** `root@203.0.113.5 since 2026-03-01 12:04`. */
export const describeMaintenance = ({ by, since }: Pick<Maintenance, "by" | "since">): string =>
  since === "" ? by : `${by} since ${when(since)}`;

/** The same as the front gets it. */
export const toldOf = ({ since, page }: Maintenance): Told => (page === null ? { since } : { since, page });

/**
 * Closes or opens an app, durably; answers what its maintenance was before. Throws DpError "config" for a front that
 * cannot, "host" when it does not answer; then nothing is changed.
 */
export async function setMaintenance(app: App, maintenance: Maintenance | null): Promise<Maintenance | null> {
  const { name, front: own } = app;
  if (own.maintain === undefined && maintenance !== null)
    throw new DpError("config", `front: ${own.name} has no maintenance page`, {
      hint: `dp setup ${name} --front relay, and deploy`,
    });
  const nothing = () => undefined;
  const lock = await waitForLock(`${fileOf(app)}.lock`, nothing, nothing);
  try {
    const before = maintenanceOf(app);
    // The file first: a front that is killed before it is told is mended by it.
    await write(app, maintenance);
    try {
      await tell(app, maintenance);
    } catch (error) {
      await write(app, before);
      throw error;
    }
    return before;
  } finally {
    lock.release();
  }
}

// The front of config.yml may be another one than the one that holds the app's port until the next deploy.
async function tell(app: App, maintenance: Maintenance | null): Promise<void> {
  const pass = await passOf(app);
  await app.front.maintain?.(app.name, maintenance && toldOf(maintenance), pass);
  if (maintenance !== null) return;
  for (const each of frontNames().filter((other) => other !== app.front.name)) {
    const { maintain, status } = await front(each);
    if (maintain !== undefined && (await status(app.name)) !== null) await maintain(app.name, null, pass);
  }
}

async function write(app: NamedApp, maintenance: Maintenance | null): Promise<void> {
  if (maintenance !== null) await writeFileAtomic(fileOf(app), `${JSON.stringify(maintenance)}\n`, 0o600);
  else if (await removeFile(fileOf(app))) await syncFolder(app.places.base);
}

/**
 * Whether the front does what the file says, by its status; true for a front that cannot, or that does not know the app.
 */
export function isAsTold(app: App, route: RouteStatus | null): boolean {
  if (app.front.maintain === undefined || route === null) return true;
  return maintenanceOf(app)?.since === route.maintenance?.since;
}

/** Makes the front with that status do what the file says. Answers one sentence when it did not. */
export async function mendMaintenance(app: App, route: RouteStatus | null): Promise<string[]> {
  if (isAsTold(app, route)) return [];
  const wanted = maintenanceOf(app);
  await app.front.maintain?.(app.name, wanted && toldOf(wanted), await passOf(app));
  return [wanted === null ? `opened ${app.name} to its clients again` : `closed ${app.name} for maintenance`];
}
