// The template units of an app, APP@.service and APP.cron@.service: rendered, compared, replaced with one rename.
import { existsSync } from "node:fs";
import { mkdir, rm, rmdir } from "node:fs/promises";
import { dirname } from "node:path";
import { codeOf, DpError } from "../../errors.ts";
import { readText, removeFile, writeFileAtomic } from "../files.ts";
import type { Io } from "../io.ts";
import { ownPorts, RANGE, spanText } from "../own-ports.ts";
import { deployments, places, repositories } from "../../paths.ts";
import { jobsOf, systemctl, unitOf } from "./systemd.ts";
import { render, template } from "../template.ts";
import type { InstanceName, ManagedApp } from "../instance.ts";

/** The folder of this server's units. */
export const UNITS = "/etc/systemd/system";
/** The first line of every unit that dp writes. */
export const MARK = "# written by dp:";
/** The folder whose links name the units that start at boot. */
export const WANTS = `${UNITS}/multi-user.target.wants`;
// Where packages and other tools keep units.
const FOREIGN = [
  "/run/systemd/system",
  "/usr/local/lib/systemd/system",
  "/usr/lib/systemd/system",
  "/lib/systemd/system",
];

/** A path in the syntax of a unit file, with % escaped. Throws DpError "usage" for a path with spaces or quotes. */
export function unitPath(path: string): string {
  if (!/^\/[\w.%/@+-]*$/.test(path))
    throw new DpError("usage", `${JSON.stringify(path)} cannot be named in a unit of systemd`);
  return path.replaceAll("%", "%%");
}

/**
 * The text of an app's template unit, or with `isJob` of the one for its cron jobs. Throws DpError "config" without a
 * user: root never runs an app.
 */
export async function unitText({ app, base, user, stopTimeout }: ManagedApp, isJob = false): Promise<string> {
  if (user === undefined)
    throw new DpError("config", `manager systemd needs a user for ${app}`, { hint: `dp setup ${app}` });
  if (!/^[a-z_][a-z0-9_-]*$/.test(user))
    throw new DpError("config", `${JSON.stringify(user)} cannot be the user of a unit`);
  const logs = places(app).logs;
  return render(await template("app@.service"), {
    app: places(app).app,
    user,
    base: unitPath(base),
    stopTimeout: String(Math.ceil(stopTimeout)),
    deployments: unitPath(deployments()),
    repositories: unitPath(repositories()),
    logs: unitPath(logs.slice(0, logs.lastIndexOf("/"))),
    binds: await bindLines(base),
    restart: isJob ? "no" : "always",
    template: isJob ? jobsOf(app) : app,
  });
}

/** What systemd lets its processes bind: of the ports of instances only the app's own, once those are recorded. */
async function bindLines(base: string): Promise<string> {
  const own = await ownPorts(base);
  if (own.length === 0) return "";
  const allowed = own.map((span) => `SocketBindAllow=tcp:${spanText(span)}`);
  return [...allowed, `SocketBindDeny=tcp:${spanText(RANGE)}`].join("\n");
}

/**
 * Removes the app's template units and the operator's overrides for them. Units of the same name that dp did not write
 * stay.
 */
export async function removeUnits(app: string, io: Io): Promise<string[]> {
  const { app: name } = places(app);
  const removed: string[] = [];
  for (const before of [name, jobsOf(name)]) {
    const path = `${UNITS}/${before}@.service`;
    if (!(await readText(path))?.startsWith(MARK)) continue;
    await rm(`${path}.d`, { recursive: true, force: true });
    await removeFile(path);
    removed.push(`removed ${path}`);
  }
  if (removed.length > 0) await systemctl(["daemon-reload"], io);
  return removed;
}

const textsOf = async (managed: ManagedApp) => ({
  [`${managed.app}@.service`]: await unitText(managed),
  [`${jobsOf(managed.app)}@.service`]: await unitText(managed, true),
});

/** One sentence for each of the app's template units that is not as this dp writes it. */
export async function unitDrift(managed: ManagedApp): Promise<string[]> {
  return driftOf(await textsOf(managed));
}

/** One sentence for each unit (name -> text) that is missing or has another text. */
export async function driftOf(units: Readonly<Record<string, string>>): Promise<string[]> {
  const wrong: string[] = [];
  for (const [name, text] of Object.entries(units)) {
    const now = await readText(`${UNITS}/${name}`);
    if (now !== text) wrong.push(`${UNITS}/${name} is ${now === null ? "missing" : "not as this dp writes it"}`);
  }
  return wrong;
}

/** Writes the app's template units that are missing or have changed. Throws DpError "config" when a name is taken. */
export async function setUpUnits(managed: ManagedApp, io: Io): Promise<string[]> {
  const changes: string[] = [];
  for (const [name, text] of Object.entries(await textsOf(managed))) changes.push(...(await setUpUnit(name, text)));
  if (changes.length > 0) await systemctl(["daemon-reload"], io);
  return changes;
}

async function setUpUnit(name: string, text: string): Promise<string[]> {
  const path = `${UNITS}/${name}`;
  const old = await readText(path);
  const taken =
    old === null || old.startsWith(MARK) ? FOREIGN.map((folder) => `${folder}/${name}`).find(existsSync) : path;
  if (taken) throw new DpError("config", `${taken} is a unit that dp did not write; choose another name for the app`);
  if (old === text) return [];
  await writeFileAtomic(path, text, 0o644);
  return [`wrote ${path}`];
}

/** The stop timeout in the app's template unit, in ms; null: dp has written no unit for the app. */
async function stopTimeoutOf(app: string): Promise<number | null> {
  const text = await readText(`${UNITS}/${app}@.service`);
  const found = /^TimeoutStopSec=(\d+)ms$/m.exec(text?.startsWith(MARK) ? text : "")?.[1];
  return found === undefined ? null : Number(found);
}

/** Updates the units of an app that another version of dp has set up; answers one sentence for each change. */
export async function renewUnits({ app, user }: Pick<ManagedApp, "app" | "user">, io: Io): Promise<string[]> {
  const stopTimeout = await stopTimeoutOf(app);
  return stopTimeout === null ? [] : setUpUnits({ app, user, stopTimeout, base: places(app).base }, io);
}

const dropInOf = (unit: string) => `${UNITS}/${unit}.d/50-dp.conf`;

/** Whether the app's template unit has the stop timeout of an instance. */
export const hasStopTimeout = async ({ app, stopTimeout }: InstanceName & { stopTimeout: number }): Promise<boolean> =>
  Math.ceil(stopTimeout) === (await stopTimeoutOf(app));

/** Writes an override for an instance whose stop timeout differs from the app's. systemd must be reloaded afterwards. */
export async function keepStopTimeout(instance: InstanceName & { stopTimeout: number }): Promise<void> {
  const path = dropInOf(unitOf(instance));
  if (await hasStopTimeout(instance)) return removeDropIn(unitOf(instance));
  const wanted = Math.ceil(instance.stopTimeout);
  const text = `${MARK} the process's own stopTimeout\n[Service]\nTimeoutStopSec=${wanted}ms\n`;
  if ((await readText(path)) === text) return;
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  await writeFileAtomic(path, text, 0o644);
}

/** Removes the override of an instance. Safe to repeat. */
export async function removeDropIn(unit: string): Promise<void> {
  const path = dropInOf(unit);
  if (!(await removeFile(path))) return;
  // The operator may have an override file there too.
  await rmdir(dirname(path)).catch((error: unknown) => {
    if (codeOf(error) !== "ENOTEMPTY") throw error;
  });
}
