// `dp maintenance`: closes an app to its clients with a page, and opens it again. It waits for no deploy and no lock.
import type { App } from "../contracts/app.ts";
import { DpError, messageOf } from "../errors.ts";
import { starter } from "../host/who.ts";
import { openApp } from "../release/app.ts";
import { namedApp } from "../release/named-app.ts";
import { factsOfRelease } from "../release/instance.ts";
import { describeMaintenance, maintenanceOf, setMaintenance } from "../release/maintenance.ts";
import { placeOf } from "../release/place.ts";
import { appNames } from "../config/server.ts";

/** Whether an app is closed for maintenance. Times are ISO 8601. */
export interface MaintenanceStatus {
  app: string;
  isOn: boolean;
  by: string | null;
  since: string | null;
  /** Whose page clients get: `maintenance.html` of the app, or dp's. */
  page: "app" | "dp";
}

/** The file with the page of an app's own, in the commit of its live release. */
const FILE = "maintenance.html";
/** The largest page, in bytes: the front keeps it in memory. */
const MOST = 128 * 1024;

function statusOf(name: string): MaintenanceStatus {
  const now = maintenanceOf(namedApp(name));
  const page = now !== null && now.page !== null ? "app" : "dp";
  return { app: name, isOn: now !== null, by: now?.by ?? null, since: now?.since ?? null, page };
}

/** Whether an app is in maintenance. Throws DpError "usage" when there is no such app. */
export async function maintenance(name: string): Promise<MaintenanceStatus> {
  if (!(await appNames()).includes(name)) await openApp(name);
  return statusOf(name);
}

/** The same for people. */
export function maintenanceLines({ app, isOn, by, since, page }: MaintenanceStatus): string[] {
  if (!isOn) return [`${app} is not in maintenance`];
  const own = page === "app" ? `its own page, ${FILE}` : "dp's page";
  return [
    `${app} is in maintenance by ${describeMaintenance({ by: by ?? "", since: since ?? "" })}`,
    `clients get 503 and ${own}; dp maintenance ${app} off`,
  ];
}

/**
 * Closes an app, with the page that its live release has now; once more, it takes the page anew. Throws DpError "config"
 * for a front without such a page, "host" when it does not answer.
 */
export async function maintenanceOn(name: string, warn: (line: string) => void): Promise<MaintenanceStatus> {
  const app = await openApp(name);
  const page = await ownPage(app, warn);
  const before = maintenanceOf(app);
  // The time tells one maintenance from the next, for the front too: with another page it is another one.
  const isSame = before !== null && before.page === page;
  await setMaintenance(app, isSame ? before : { by: starter(), since: new Date().toISOString(), page });
  return statusOf(name);
}

/** Opens an app again; answers whether it was closed. */
export async function maintenanceOff(name: string): Promise<boolean> {
  return (await setMaintenance(await openApp(name), null)) !== null;
}

/** The page of the app's own. Whoever closes an app is in a hurry: one that cannot be used is only warned of. */
async function ownPage(app: App, warn: (line: string) => void): Promise<string | null> {
  try {
    const live = await app.live();
    // What is pushed is read from git, not from the disk: no link in it leads anywhere.
    const page = live === null ? null : await placeOf(await factsOfRelease(app, live), {}).tree.read(FILE);
    if (page === null || Buffer.byteLength(page) <= MOST) return page;
    warn(`${FILE} has ${Buffer.byteLength(page)} bytes, more than the ${MOST} of a page: clients get dp's page`);
  } catch (error) {
    if (!(error instanceof DpError)) throw error;
    warn(`${messageOf(error)}: clients get dp's page`);
  }
  return null;
}
