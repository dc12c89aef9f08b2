// systemd: one unit APP@ID.service per release, all made from the template unit APP@.service.
import { existsSync, statSync } from "node:fs";
import { chmod, chown, mkdir, readdir } from "node:fs/promises";
import { startScript } from "../process/command-line.ts";
import { codeOf, DpError } from "../errors.ts";
import { removeFile, writeFileAtomic } from "../files.ts";
import { systemdEnv } from "../env.ts";
import type { Io } from "../io.ts";
import type { Instance, InstanceName, InstanceStatus, Manager } from "../manager.ts";
import { isReleaseId, places, root, sequenceOf } from "../paths.ts";
import { tail } from "../process/output.ts";
import { groupProcesses, readStatus, show, systemctl, systemdTool, unitOf } from "../systemd/systemd.ts";
import { logs } from "../systemd/journal.ts";
import { removeUnit, setUpUnit, WANTS } from "../systemd/unit.ts";
import { idsOf } from "../setup/users.ts";

const filesOf = ({ app, id }: InstanceName) => {
  const stem = `${places(app).instances}/${id}`;
  return { env: `${stem}.env`, script: `${stem}.sh` };
};

// Why systemd could not start a process: systemd.exec(5), "Process exit codes".
const REASONS: Record<string, string> = {
  200: "its folder cannot be entered",
  203: "/bin/sh cannot be run",
  209: "its output cannot be connected to the journal",
  216: "the group of its user does not exist",
  217: "its user does not exist",
  226: "its sandbox cannot be set up, a folder of it is missing",
};

async function unavailable(): Promise<string | null> {
  if (root() !== "") return "manager systemd needs the real /etc; use builtin under DP_ROOT";
  if (!existsSync("/run/systemd/system")) return "systemd does not run on this host";
  return process.getuid?.() === 0 ? null : "manager systemd needs root";
}

async function writeFiles(instance: Instance): Promise<void> {
  const files = filesOf(instance);
  const [, gid] = instance.user === undefined ? [0, 0] : await idsOf(instance.user);
  await mkdir(places(instance.app).instances, { recursive: true, mode: 0o711 });
  await writeFileAtomic(files.env, systemdEnv(instance.env), 0o600);
  await writeFileAtomic(files.script, `${startScript(instance.command, instance.folder)}\n`, 0o600);
  await chown(files.script, 0, gid);
  await chmod(files.script, 0o640);
}

async function start(instance: Instance, io: Io): Promise<void> {
  const unit = unitOf(instance);
  if (!statSync(instance.folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw new DpError("command", `${unit} cannot be started: there is no folder ${instance.folder}`);
  }
  await writeFiles(instance);
  const { NeedDaemonReload } = await show(unit, ["NeedDaemonReload"]);
  if (NeedDaemonReload === "yes") await systemctl(["daemon-reload"], io);
  // Stopped first: only so are the crashes of the past forgotten.
  await stop(instance, io);
  const result = await systemctl(["start", unit], io, false);
  if (result.code !== 0) throw await failure(instance, result.text, io);
}

async function failure(instance: InstanceName, text: string, io: Io): Promise<DpError> {
  const unit = unitOf(instance);
  const { ExecMainStatus = "", LoadState } = await show(unit, ["ExecMainStatus", "LoadState"]);
  // It would be tried again and again otherwise.
  await stop(instance, io);
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
  await systemctl(["stop", unit], io, false);
  await systemctl(["reset-failed", unit], io, false);
  const { state, pid } = await status(name);
  if (state !== "stopped")
    throw new DpError("command", `${unit} does not stop, its main process is ${pid}`, {
      hint: `systemctl status ${unit}`,
    });
}

const status = (name: InstanceName): Promise<InstanceStatus> => readStatus(unitOf(name));

async function instances(app: string): Promise<string[]> {
  const pattern = `${places(app).app}@*.service`;
  const states = "--state=active,activating,reloading,deactivating,failed";
  const listing = await systemctl(["list-units", "--all", "--plain", "--no-legend", states, pattern]);
  const ids = listing.text.split("\n").map((line) => idOf(app, line.trim().split(/\s/, 1)[0] ?? ""));
  return ids.filter((id) => id !== null).sort((a, b) => sequenceOf(a) - sequenceOf(b));
}

/** The release of a unit's name, or null when it is no instance of the app. */
function idOf(app: string, unit: string): string | null {
  if (!unit.startsWith(`${app}@`) || !unit.endsWith(".service")) return null;
  const id = unit.slice(app.length + 1, -".service".length);
  return isReleaseId(id) ? id : null;
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

async function enable(app: string, id: string | null, io: Io): Promise<boolean> {
  const enabled = await enabledIds(places(app).app);
  const extra = enabled.filter((other) => other !== id).map((other) => unitOf({ app, id: other }));
  const isMissing = id !== null && !enabled.includes(id);
  // In this order: a power cut between the two must not leave an app that nothing starts.
  if (isMissing) await systemctl(["enable", "--quiet", unitOf({ app, id })], io);
  if (extra.length > 0) await systemctl(["disable", "--quiet", ...extra], io);
  return isMissing || extra.length > 0;
}

const systemd: Manager = {
  name: "systemd",
  summary: "units of systemd, each release in a sandbox",
  setup: setUpUnit,
  remove: removeUnit,
  pids: async (name) => groupProcesses(unitOf(name)),
  ...{ unavailable, start, stop, status, instances, enable, logs },
  async forget(name) {
    unitOf(name);
    const files = filesOf(name);
    for (const file of [files.env, files.script]) await removeFile(file);
  },
};

export default systemd;
