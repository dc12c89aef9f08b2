// The daemon of an app's pm2: a systemd unit, or without systemd a process that pm2's own command leaves running.
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { DpError } from "../../errors.ts";
import { readText, removeFile, writeFileAtomic } from "../../host/files.ts";
import type { Io } from "../../host/io.ts";
import { deployments, places, repositories, root } from "../../paths.ts";
import { show, systemctl, systemdTool } from "../../host/systemd/systemd.ts";
import { driftOf, unitPath, UNITS, WANTS } from "../../host/systemd/unit.ts";
import { render, template } from "../../host/template.ts";
import { tail } from "../../host/process/output.ts";
import { isEmpty } from "./dump.ts";
import { homeOf, ownerOf } from "./home.ts";
import { listing } from "./listing.ts";
import { pm2Environment, pm2Path, runPm2 } from "./program.ts";
import { call } from "./rpc.ts";

const unitOf = (app: string) => `dp-pm2-${places(app).app}.service`;

const hasUnit = (app: string) => root() === "" && existsSync("/run/systemd/system") && ownerOf(app).user !== undefined;

/** The text of the unit. Throws DpError "usage" for a PATH that a unit cannot contain. */
async function unitText(app: string, user: string, path: string | undefined): Promise<string> {
  const { base, logs } = places(app);
  const environment = Object.entries(pm2Environment(app, path)).map(([name, value]) => {
    const safe = value.startsWith("/") ? value.split(":").map(unitPath).join(":") : value;
    return `Environment=${name}=${safe}`;
  });
  return render(await template("pm2.service"), {
    app: places(app).app,
    user,
    base: unitPath(base),
    environment: environment.join("\n"),
    pm2: unitPath(pm2Path(path)),
    pidFile: unitPath(homeOf(app).pidFile),
    deployments: unitPath(deployments()),
    repositories: unitPath(repositories()),
    logs: unitPath(dirname(logs)),
  });
}

/** Writes the unit when it is missing or differs; answers one sentence for each change, and none without systemd. */
export async function setUpDaemon(app: string, path: string | undefined, io: Io): Promise<string[]> {
  const { user } = ownerOf(app);
  if (!hasUnit(app) || user === undefined) return [];
  const file = `${UNITS}/${unitOf(app)}`;
  const text = await unitText(app, user, path);
  const isWritten = (await readText(file)) === text;
  // systemd may not have reloaded it, if the process that wrote it was killed.
  if (isWritten && (await show(unitOf(app), ["NeedDaemonReload"]))["NeedDaemonReload"] !== "yes") return [];
  if (!isWritten) await writeFileAtomic(file, text, 0o644);
  await systemctl(["daemon-reload"], io);
  return [isWritten ? `told systemd about ${file}` : `wrote ${file}`];
}

/** How the unit differs from that of this dp: one sentence each; none without systemd. */
export async function daemonDrift(app: string, path: string | undefined): Promise<string[]> {
  const { user } = ownerOf(app);
  return hasUnit(app) && user !== undefined ? driftOf({ [unitOf(app)]: await unitText(app, user, path) }) : [];
}

/**
 * Starts the daemon unless it runs, and with it the processes of its dump. Throws DpError "command" with its output.
 */
export async function startDaemon(app: string, path: string | undefined, io: Io): Promise<void> {
  if ((await call(app, "ping", [{}])) !== null) return;
  if (!hasUnit(app)) return void (await runPm2(app, ["resurrect"], path, io));
  await setUpDaemon(app, path, io);
  const unit = unitOf(app);
  await systemctl(["reset-failed", unit], io, false);
  // The unit may still be "active" when its daemon was killed a moment ago.
  const started = await systemctl(["restart", unit], io, false);
  if (started.code === 0) return;
  const journal = await systemdTool(["journalctl", "--no-pager", "-o", "cat", "-n", "10", "-u", unit], io, false);
  const hint = `systemctl status ${unit}`;
  throw new DpError("command", `${unit} cannot be started`, { lines: tail(journal.text, 10), hint });
}

/** Stops a daemon without processes, now and at boot. Safe to repeat. */
export async function endIdleDaemon(app: string, io: Io): Promise<void> {
  const all = await listing(app);
  if ((all !== null && all.length > 0) || !(await isEmpty(app, io))) return;
  if (hasUnit(app)) await systemctl(["disable", "--now", "--quiet", unitOf(app)], io, false);
  // killMe gets no answer: the daemon exits.
  if (all !== null) await call(app, "killMe", [{}]);
}

/**
 * Stops the daemon and removes its unit; one sentence for each change. Safe to repeat. Throws DpError "command" when a
 * daemon outside systemd does not answer.
 */
export async function removeDaemon(app: string, io: Io): Promise<string[]> {
  const unit = unitOf(app);
  const file = `${UNITS}/${unit}`;
  const isUnit = hasUnit(app) && existsSync(file);
  const asked = await call(app, "ping", [{}]).catch((error: unknown) => error);
  if (isUnit) {
    // pm2's own stop command also asks the daemon, for minutes: a daemon that does not answer is killed first.
    if (asked instanceof DpError) await systemctl(["kill", "--signal=SIGKILL", unit], io, false);
    await systemctl(["disable", "--now", "--quiet", unit], io, false);
    await removeFile(file);
    await systemctl(["daemon-reload"], io);
  }
  // killMe gets no answer: the daemon exits.
  if (asked !== null) await call(app, "killMe", [{}]);
  return isUnit ? [`removed ${file}`] : [];
}

/** Whether the daemon starts at boot, by systemd or, without it, by dp reconcile. */
export const isEnabled = (app: string) => !hasUnit(app) || existsSync(`${WANTS}/${unitOf(app)}`);

/** Makes systemd start the daemon at boot; answers whether that is new. */
export async function enableDaemon(app: string, io: Io): Promise<boolean> {
  if (isEnabled(app)) return false;
  await systemctl(["enable", "--quiet", unitOf(app)], io);
  return true;
}
