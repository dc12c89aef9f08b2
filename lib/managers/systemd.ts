// systemd: one unit APP@ID.service for each instance, all made from the template unit APP@.service.
import { existsSync, statSync } from "node:fs";
import { mkdir, readdir, symlink } from "node:fs/promises";
import { codeOf, DpError } from "../errors.ts";
import { removeFile, syncFolder } from "../host/files.ts";
import type { Io } from "../host/io.ts";
import type { Instance, Manager } from "../contracts/manager.ts";
import { places, root } from "../paths.ts";
import { compareInstances, isInstanceId } from "../text/ids.ts";
import { tail } from "../host/process/output.ts";
import { removeFiles, writeFiles } from "../host/systemd/instance-files.ts";
import {
  groupProcesses,
  jobsOf,
  loadedUnits,
  mayBeLoaded,
  readStatus,
  show,
  systemctl,
  systemdTool,
  unitOf,
} from "../host/systemd/systemd.ts";
import { goOn, isEarly, leaveEarly, startEarly } from "../host/systemd/early.ts";
import { doJob, resetFailed } from "../host/systemd/job.ts";
import { logs } from "../host/systemd/journal.ts";
import { together } from "../host/together.ts";
import {
  hasStopTimeout,
  keepStopTimeout,
  removeDropIn,
  removeUnits,
  renewUnits,
  setUpUnits,
  unitDrift,
  UNITS,
  WANTS,
} from "../host/systemd/unit.ts";
import type { InstanceName, InstanceStatus } from "../host/instance.ts";

// Why systemd could not start a process: systemd.exec(5), "Process exit codes".
const REASONS: Record<string, string> = {
  200: "its folder cannot be entered",
  203: "/bin/sh cannot be run",
  209: "its output cannot be connected to the journal",
  216: "the group of its user does not exist",
  217: "its user does not exist",
  226: "its sandbox cannot be set up: one of its folders is missing",
};

/** How often the outcome of a start is checked, and the pause between two checks, in ms. */
const LOOKS = 100;
const LOOK = 20;

async function unavailable(): Promise<string | null> {
  if (root() !== "") return "manager systemd needs the real /etc; use builtin under DP_ROOT";
  if (!existsSync("/run/systemd/system")) return "systemd does not run on this host";
  return process.getuid?.() === 0 ? null : "manager systemd needs root";
}

async function start(instance: Instance, io: Io): Promise<void> {
  const unit = unitOf(instance);
  if (!statSync(instance.folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw new DpError("command", `${unit} cannot be started: there is no folder ${instance.folder}`);
  }
  const changes = await renewUnits(instance, io);
  if (isEarly(instance)) {
    // It waits in the sandbox of the unit as it was.
    const isAsWanted = changes.length === 0 && (await hasStopTimeout(instance));
    if (isAsWanted ? await goOn(instance) : await leaveEarly(instance).then(() => false)) return;
  }
  await writeFiles(instance);
  await keepStopTimeout(instance);
  // An override may have to be read first, whatever is loaded.
  const isKnown = existsSync(`${UNITS}/${unit}.d`) || (await mayBeLoaded(unit));
  const before = isKnown ? await show(unit, ["NeedDaemonReload", ...ORIGIN]) : NEVER;
  if (before["NeedDaemonReload"] === "yes") await systemctl(["daemon-reload"], io);
  // Only a stop makes systemd forget earlier crashes.
  if (!isNew(before)) await end(instance, true, io);
  if ((await doJob("StartUnit", unit, io.signal)) || (await hasRun(unit, before[BEGUN]))) return;
  const result = await systemctl(["start", unit], io, false);
  if (result.code !== 0 && !(await hasRun(unit, before[BEGUN]))) throw await failure(instance, result.text, io);
}

const BEGUN = "ExecMainStartTimestampMonotonic";
const ORIGIN = ["ActiveState", "Result", "NRestarts", "Job", BEGUN];

/** Whether systemd has never started the unit, and is not about to: there is nothing to stop or to forget. */
const isNew = ({ ActiveState, Result, NRestarts, Job, [BEGUN]: begun }: Record<string, string>) =>
  ActiveState === "inactive" && Result === "success" && NRestarts === "0" && !Job && begun === "0";

/** What systemd would say of a unit that it has never started. */
const NEVER: Record<string, string> = {
  ActiveState: "inactive",
  Result: "success",
  NRestarts: "0",
  Job: "",
  [BEGUN]: "0",
};

/**
 * Whether its command has begun since then, however it ended: a quick command may end before systemd reports it as
 * started, and that end is the app's own.
 */
async function hasRun(unit: string, before: string | undefined): Promise<boolean> {
  for (let look = 0; ; look++) {
    const now = await show(unit, ["ExecMainStatus", "SubState", BEGUN]);
    // It may be in its next try already, which has not ended yet.
    if (now["SubState"] === "start" && look < LOOKS) await Bun.sleep(LOOK);
    else return !["", "0", before].includes(now[BEGUN]) && REASONS[now["ExecMainStatus"] ?? ""] === undefined;
  }
}

async function failure(instance: InstanceName, text: string, io: Io): Promise<DpError> {
  const unit = unitOf(instance);
  const { ExecMainStatus = "", LoadState } = await show(unit, ["ExecMainStatus", "LoadState"]);
  // Otherwise systemd would try again for ever.
  await end(instance, true, io);
  if (LoadState === "not-found")
    return new DpError("command", `there is no unit ${unit}`, { hint: `dp setup ${instance.app}` });
  const journal = await systemdTool(["journalctl", "--no-pager", "-o", "cat", "-n", "10", "-u", unit], io, false);
  const why = REASONS[ExecMainStatus] ?? text.split("\n", 1)[0] ?? "";
  return new DpError("command", `${unit} cannot be started: ${why}`, {
    lines: tail(journal.text, 10),
    hint: `systemctl status ${unit}`,
  });
}

async function stop(name: InstanceName, io: Io): Promise<void> {
  const unit = unitOf(name);
  await leaveEarly(name);
  if (!(await mayBeLoaded(unit))) return;
  const before = await show(unit, ORIGIN);
  if (!isNew(before)) await end(name, before["NRestarts"] !== "0", io);
}

/** Stops a unit and, if it has failed or had crashed before, makes systemd forget that. */
async function end(name: InstanceName, hadCrashed: boolean, io: Io): Promise<void> {
  const unit = unitOf(name);
  if (!(await doJob("StopUnit", unit, io.signal))) await systemctl(["stop", unit], io, false);
  let { state, pid } = await status(name);
  if (state !== "stopped" || hadCrashed) {
    if (!(await resetFailed(unit))) await systemctl(["reset-failed", unit], io, false);
    ({ state, pid } = await status(name));
  }
  if (state !== "stopped")
    throw new DpError("command", `${unit} does not stop; its main process is ${pid}`, {
      hint: `systemctl status ${unit}`,
    });
}

const status = (name: InstanceName): Promise<InstanceStatus> => readStatus(unitOf(name));

async function instances(app: string): Promise<string[]> {
  const ids = (await unitsOf(places(app).app)).map((unit) => idOf(app, unit));
  return ids.filter((id) => id !== null).sort(compareInstances);
}

/**
 * For more apps systemd is asked for all instances at once: it compares each of its units with each pattern. For fewer,
 * most of that answer would be for nobody.
 */
const FEW = 100;

/** The units of these apps that run, wait or have failed. */
const unitsOf = together(async (apps) => {
  const own = apps.flatMap((app) => [`${app}@*.service`, `${jobsOf(app)}@*.service`]);
  const patterns = apps.length > FEW ? ["*@*.service"] : own;
  const units = await loadedUnits(["active", "activating", "reloading", "deactivating", "failed"], patterns);
  const byName = Map.groupBy(units, (unit) => unit.split("@", 1)[0]!);
  const of = (name: string) => byName.get(name) ?? [];
  return new Map(apps.map((app) => [app, [...of(app), ...of(jobsOf(app))]]));
});

/** The instance in a unit's name, or null when it does not belong to the app. */
function idOf(app: string, unit: string): string | null {
  const id = /^[^@]+@(.+)\.service$/.exec(unit)?.[1];
  return id !== undefined && isInstanceId(id) && unitOf({ app, id }) === unit ? id : null;
}

async function enabledIds(app: string): Promise<string[]> {
  try {
    const names = await readdir(WANTS);
    return names.map((name) => idOf(app, name)).filter((id) => id !== null);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  }
}

async function enable(app: string, ids: readonly string[]): Promise<boolean> {
  const enabled = await enabledIds(places(app).app);
  const units = (list: readonly string[]) => list.map((id) => unitOf({ app, id }));
  const extra = units(enabled.filter((id) => !ids.includes(id)));
  const missing = units(ids.filter((id) => !enabled.includes(id)));
  // In this order: a power cut between the two must not leave an app that nothing starts.
  if (missing.length > 0) await linkAll(missing);
  for (const unit of extra) await removeFile(`${WANTS}/${unit}`);
  if (extra.length > 0) await syncFolder(WANTS);
  return missing.length > 0 || extra.length > 0;
}

/**
 * Makes systemd start units at boot, by the links that `systemctl enable` makes. systemd is not told: it would read all
 * units again, and a newer one that was told with --no-reload would call every unit of the server outdated.
 */
async function linkAll(units: readonly string[]): Promise<void> {
  await mkdir(WANTS, { recursive: true });
  for (const unit of units) await symlink(`${UNITS}/${unit.replace(/@.*/, "@.service")}`, `${WANTS}/${unit}`);
  await syncFolder(WANTS);
}

async function unprepare(name: InstanceName, io: Io): Promise<void> {
  await stop(name, io);
  await removeFiles(name);
}

const systemd: Manager = {
  name: "systemd",
  summary: "units of systemd, each process in a sandbox",
  setup: setUpUnits,
  drift: unitDrift,
  enabled: enabledIds,
  remove: removeUnits,
  pids: async (name) => groupProcesses(unitOf(name)),
  unavailable,
  prepare({ user, ...name }) {
    if (user !== undefined) startEarly({ ...name, user });
  },
  preparesLong: true,
  isPrepared: isEarly,
  unprepare,
  start,
  stop,
  status,
  instances,
  enable,
  logs,
  async forget(name) {
    await removeDropIn(unitOf(name));
    await removeFiles(name);
  },
};

export default systemd;
