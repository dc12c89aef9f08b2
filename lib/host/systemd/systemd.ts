// Talking to systemd: units by name, their properties and their processes.
import { askLoaded, askProperties, askUnits } from "./ask.ts";
import { processesInGroup } from "../process/cgroup.ts";
import { howEnded, signalNamed } from "../process/ending.ts";
import { DpError } from "../../errors.ts";
import type { Io } from "../io.ts";
import { places, root } from "../../paths.ts";
import { isInstanceId, isJob } from "../../text/ids.ts";
import { plainEnv, run, type Result, type RunOptions } from "../run.ts";
import { together } from "../together.ts";
import type { InstanceName, InstanceStatus } from "../instance.ts";

// A stop may take as long as the operator's stopTimeout.
const PATIENCE = 15 * 60_000;
const QUESTION = 60_000;

/** The part before the "@" in the unit names of an app's jobs. No app can have this name: app names contain no dot. */
export const jobsOf = (app: string) => `${app}.cron`;

/**
 * The unit of an instance, `my-api@42-3f9c2ab.service`, or of a job, `my-api.cron@…`. Throws DpError "usage" for a bad
 * name.
 */
export function unitOf({ app, id }: InstanceName): string {
  if (!isInstanceId(id))
    throw new DpError("usage", `${JSON.stringify(id)} is not the name of an instance, such as 42-3f9c2ab`);
  const { app: name } = places(app);
  return `${isJob(id) ? jobsOf(name) : name}@${id}.service`;
}

// A trial under DP_ROOT must not touch the units of the real system.
function requireRealRoot(): void {
  if (root() !== "") throw new DpError("host", "manager systemd needs the real /etc; use builtin under DP_ROOT");
}

/** Runs a systemd tool, in English, in UTC and without a pager. Throws DpError "host" under DP_ROOT. */
export async function systemdTool(
  argv: readonly string[],
  io?: Io,
  check = true,
  more: RunOptions = {},
): Promise<Result> {
  requireRealRoot();
  const env = { ...plainEnv(), LANG: "C", LC_ALL: "C", TZ: "UTC", SYSTEMD_PAGER: "", SYSTEMD_COLORS: "0" };
  return (io?.run ?? run)(argv, { env, check, quiet: true, timeout: PATIENCE, ...more });
}

export function systemctl(argv: readonly string[], io?: Io, check = true): Promise<Result> {
  return systemdTool(["systemctl", "--no-pager", ...argv], io, check);
}

/** The names of the loaded units in one of those states whose names match one of the patterns. */
export async function loadedUnits(states: readonly string[], patterns: readonly string[]): Promise<string[]> {
  requireRealRoot();
  const told = await askUnits(states, patterns);
  if (told !== null) return told;
  const options = ["--all", "--plain", "--no-legend", `--state=${states.join(",")}`];
  const { text } = await systemctl(["list-units", ...options, ...patterns]);
  return text.split("\n").map((line) => line.trim().split(/\s/, 1)[0] ?? "");
}

/** Properties of a unit; systemd reports them for a missing unit as well. */
export async function show(unit: string, names: readonly string[]): Promise<Record<string, string>> {
  return (await showAll([unit], names)).get(unit)!;
}

/** The properties of several units, by unit, in one question. */
export async function showAll(units: readonly string[], names: readonly string[]) {
  requireRealRoot();
  const told = await askProperties(units, names);
  if (told !== null) return told;
  const argv = ["systemctl", "--no-pager", "show", `--property=${names.join(",")}`, "--", ...units];
  const { text } = await systemdTool(argv, undefined, true, { timeout: QUESTION });
  const blocks = text.split("\n\n").map((block) => block.split("\n"));
  return new Map(units.map((unit, index) => [unit, propertiesIn(blocks[index] ?? [])]));
}

/** Whether systemd has loaded a unit, or may have. */
export async function mayBeLoaded(unit: string): Promise<boolean> {
  requireRealRoot();
  return (await askLoaded(unit)) ?? true;
}

const propertiesIn = (lines: readonly string[]): Record<string, string> =>
  Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]));

const PROPERTIES = [
  "ActiveState",
  "SubState",
  "MainPID",
  "NRestarts",
  "ExecMainCode",
  "ExecMainStatus",
  "ExecMainStartTimestamp",
  "Result",
  "ControlGroup",
];

const known = together((units) => showAll(units, PROPERTIES));

/** The status of a unit, in the terms that all managers share. */
export async function readStatus(unit: string): Promise<InstanceStatus> {
  return statusFrom(await known(unit));
}

/** The status that follows from a unit's properties. */
export function statusFrom(shown: Record<string, string>): InstanceStatus {
  const state = stateFrom(shown);
  const isRunning = state === "running";
  return {
    state,
    pid: isRunning && shown["MainPID"] !== "0" ? Number(shown["MainPID"]) : null,
    restarts: Number(shown["NRestarts"] ?? 0),
    since: isRunning ? timeFrom(shown["ExecMainStartTimestamp"] ?? "") : null,
    ...(state === "failed" || state === "waiting" ? endFrom(shown) : { detail: "" }),
  };
}

function stateFrom({ ActiveState, SubState = "", MainPID }: Record<string, string>): InstanceStatus["state"] {
  if (ActiveState === "failed") return "failed";
  if (SubState.startsWith("auto-restart")) return "waiting";
  if (ActiveState === "inactive" || ActiveState === undefined) return "stopped";
  // After its main process has ended and before its last process has, the unit is waiting for a restart.
  return ActiveState === "deactivating" && MainPID === "0" ? "waiting" : "running";
}

function endFrom({ ExecMainCode, ExecMainStatus, Result }: Record<string, string>) {
  if (Result === "oom-kill") return { detail: "killed: out of memory" };
  if (Result === "resources") return { detail: "could not be started, see the journal" };
  if (ExecMainCode === "0") return { detail: "" };
  const status = Number(ExecMainStatus);
  // CLD_EXITED is 1; CLD_KILLED and CLD_DUMPED are 2 and 3.
  const ended = ExecMainCode === "1" ? { code: status } : { signal: signalNamed(status) ?? `signal ${status}` };
  return { detail: howEnded(ended), ended };
}

/** "Sat 2025-11-22 14:49:31 UTC" as ISO 8601, or null for an empty text. */
export function timeFrom(text: string): string | null {
  const [, day, time] = /^\w+ (\S+) (\S+) UTC$/.exec(text) ?? [];
  return day && time ? new Date(`${day}T${time}Z`).toISOString() : null;
}

/** The processes in a unit's control group, including its child groups. */
export async function groupProcesses(unit: string): Promise<number[]> {
  const { ControlGroup = "" } = await known(unit);
  return ControlGroup === "" ? [] : processesInGroup(ControlGroup);
}
