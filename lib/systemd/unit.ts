// The template unit of an app, APP@.service: rendered, compared, replaced by one rename.
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { DpError } from "../errors.ts";
import { readText, removeFile, writeFileAtomic } from "../files.ts";
import type { Io } from "../io.ts";
import type { ManagedApp } from "../manager.ts";
import { deployments, places, repositories } from "../paths.ts";
import { systemctl } from "./systemd.ts";
import { render, template } from "../template.ts";

/** Where the units of this server are. */
export const UNITS = "/etc/systemd/system";
const MARK = "# written by dp:";
/** The folder whose links name the units that come up at boot. */
export const WANTS = `${UNITS}/multi-user.target.wants`;
// Where packages and other tools keep units.
const FOREIGN = [
  "/run/systemd/system",
  "/usr/local/lib/systemd/system",
  "/usr/lib/systemd/system",
  "/lib/systemd/system",
];

/** A path as a unit can hold it: its % are no specifiers. Throws DpError "usage" for one with spaces or quotes. */
export function unitPath(path: string): string {
  if (!/^\/[\w.%/@+-]*$/.test(path))
    throw new DpError("usage", `${JSON.stringify(path)} cannot be named in a unit of systemd`);
  return path.replaceAll("%", "%%");
}

/** The text of an app's template unit. Throws DpError "config" without a user: an app is never run by root. */
export async function unitText({ app, base, user, stopTimeout }: ManagedApp): Promise<string> {
  if (user === undefined)
    throw new DpError("config", `manager systemd needs a user for ${app}`, { hint: `dp setup ${app}` });
  if (!/^[a-z_][a-z0-9_-]*$/.test(user))
    throw new DpError("config", `${JSON.stringify(user)} cannot be the user of a unit`);
  const logs = places(app).logs;
  return render(await template("app@.service"), {
    ...{ app: places(app).app, user, base: unitPath(base), stopTimeout: String(Math.ceil(stopTimeout)) },
    ...{ deployments: unitPath(deployments()), repositories: unitPath(repositories()) },
    logs: unitPath(logs.slice(0, logs.lastIndexOf("/"))),
  });
}

/** Removes the app's template unit, and the operator's own settings for it; another's of that name stays. */
export async function removeUnit(app: string, io: Io): Promise<string[]> {
  const path = `${UNITS}/${places(app).app}@.service`;
  if (!(await readText(path))?.startsWith(MARK)) return [];
  await rm(`${path}.d`, { recursive: true, force: true });
  await removeFile(path);
  await systemctl(["daemon-reload"], io);
  return [`removed ${path}`];
}

/** Writes the app's template unit when it is not there yet or has changed. Throws DpError "config" when the name is taken. */
export async function setUpUnit(managed: ManagedApp, io: Io): Promise<string[]> {
  const text = await unitText(managed);
  const name = `${managed.app}@.service`;
  const path = `${UNITS}/${name}`;
  const old = await readText(path);
  const taken =
    old === null || old.startsWith(MARK) ? FOREIGN.map((folder) => `${folder}/${name}`).find(existsSync) : path;
  if (taken) throw new DpError("config", `${taken} is a unit of somebody else; choose another name for the app`);
  if (old === text) return [];
  await writeFileAtomic(path, text, 0o644);
  await systemctl(["daemon-reload"], io);
  return [`wrote ${path}`];
}
