// The daemon of an app's pm2: a unit where systemd runs, else a process that pm2's own command leaves behind.
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

/** The text of the unit. Throws DpError "usage" for a PATH that no unit can name. */
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

/** Writes the unit when it is not there or differs; answers one sentence for each change, and none without systemd. */
export async function setUpDaemon(app: string, path: string | undefined, io: Io): Promise<string[]> {
  const { user } = ownerOf(app);
  if (!hasUnit(app) || user === undefined) return [];
  const file = `${UNITS}/${unitOf(app)}`;
  const text = await unitText(app, user, path);
  const isWritten = (await readText(file)) === text;
  // systemd may not have been told of it: whoever wrote it was ended before that.
  if (isWritten && (await show(unitOf(app), ["NeedDaemonReload"]))["NeedDaemonReload"] !== "yes") return [];
  if (!isWritten) await writeFileAtomic(file, text, 0o644);
  await systemctl(["daemon-reload"], io);
  return [isWritten ? `told systemd about ${file}` : `wrote ${file}`];
}

/** What of the unit is not as this dp writes it: one sentence each; none without systemd. */
export async function daemonDrift(app: string, path: string | undefined): Promise<string[]> {
  const { user } = ownerOf(app);
  return hasUnit(app) && user !== undefined ? driftOf({ [unitOf(app)]: await unitText(app, user, path) }) : [];
}

/** Starts the daemon unless it runs, and with it what its dump names. Throws DpError "command" with its words. */
export async function startDaemon(app: string, path: string | undefined, io: Io): Promise<void> {
  if ((await call(app, "ping", [{}])) !== null) return;
  if (!hasUnit(app)) return void (await runPm2(app, ["resurrect"], path, io));
  await setUpDaemon(app, path, io);
  const unit = unitOf(app);
  await systemctl(["reset-failed", unit], io, false);
  // It may be "active" with a daemon that was killed a moment ago.
  const started = await systemctl(["restart", unit], io, false);
  if (started.code === 0) return;
  const journal = await systemdTool(["journalctl", "--no-pager", "-o", "cat", "-n", "10", "-u", unit], io, false);
  const hint = `systemctl status ${unit}`;
  throw new DpError("command", `${unit} cannot be started`, { lines: tail(journal.text, 10), hint });
}

/** Ends a daemon that has nothing to do, now and after a boot. Safe to repeat. */
export async function endIdleDaemon(app: string, io: Io): Promise<void> {
  const all = await listing(app);
  if ((all !== null && all.length > 0) || !(await isEmpty(app, io))) return;
  if (hasUnit(app)) await systemctl(["disable", "--now", "--quiet", unitOf(app)], io, false);
  // It has no answer to that but its end.
  if (all !== null) await call(app, "killMe", [{}]);
}

/**
 * Ends the daemon and removes its unit; one sentence for each change. Safe to repeat. Throws DpError "command" when one
 * that is none of systemd's does not answer.
 */
export async function removeDaemon(app: string, io: Io): Promise<string[]> {
  const unit = unitOf(app);
  const file = `${UNITS}/${unit}`;
  const isUnit = hasUnit(app) && existsSync(file);
  const asked = await call(app, "ping", [{}]).catch((error: unknown) => error);
  if (isUnit) {
    // pm2's own way to end it asks the daemon too, for minutes: what does not answer is killed before.
    if (asked instanceof DpError) await systemctl(["kill", "--signal=SIGKILL", unit], io, false);
    await systemctl(["disable", "--now", "--quiet", unit], io, false);
    await removeFile(file);
    await systemctl(["daemon-reload"], io);
  }
  // It has no answer to that but its end.
  if (asked !== null) await call(app, "killMe", [{}]);
  return isUnit ? [`removed ${file}`] : [];
}

/** Whether the daemon comes up at boot, by systemd or, where there is none, by dp reconcile. */
export const isEnabled = (app: string) => !hasUnit(app) || existsSync(`${WANTS}/${unitOf(app)}`);

/** Makes the daemon come up at boot, by systemd; answers whether that is new. */
export async function enableDaemon(app: string, io: Io): Promise<boolean> {
  if (isEnabled(app)) return false;
  await systemctl(["enable", "--quiet", unitOf(app)], io);
  return true;
}
