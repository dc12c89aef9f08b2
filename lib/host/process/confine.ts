// Confinement of commands that come from a commit (builds and hooks): lower priority than the app, limited, and ended
// together with everything they started.
import { existsSync } from "node:fs";
import { realm, root } from "../../paths.ts";
import { groupsIn, processesInGroup, systemSlice } from "./cgroup.ts";
import { endAll } from "./end-all.ts";
import { allPids } from "./proc.ts";
import { hasEnvironment } from "./process.ts";
import { isOther, program, type Command } from "./privilege.ts";
import { behindWalls, hasWalls } from "./walls.ts";

/** Resource limits for a container or a build. */
export interface Limits {
  /** "512m", "2g". Default: no limit. */
  memory?: string;
  /** "1.5" processors. Default: no limit. */
  cpus?: string;
  /** Processes and threads. */
  pids?: number;
}

/** The release that a command belongs to, and the limits that the operator sets for it. */
export interface Confined {
  app: string;
  /** The release. */
  id: string;
  build?: Limits | undefined;
  /** Paths in the app's base that it may write to, see walls.ts. Missing: the command sees everything that its user may. */
  opens?: readonly string[] | undefined;
}

/** A command prepared for confinement. */
export interface Confinement extends Command {
  /** Whether a process in between reports a signal as exit code 128 + the signal's number. */
  isWalled?: boolean;
  /** Ends processes that the command left running. */
  end(): Promise<void>;
}

/** Milliseconds between SIGTERM and SIGKILL for leftover processes. */
const PATIENCE = 1_000;
/** Processes and threads: the same limit as for the app itself. */
const TASKS = 4096;
// When memory is short the kernel kills builds first, then one-off commands, and the app only after them. INVOCATION_ID
// is added by systemd-run.
const LOWER = 'unset INVOCATION_ID; { echo "$1" >/proc/self/oom_score_adj; } 2>/dev/null; shift; exec "$@"';
const lower = (score: number, argv: readonly string[]) => ["/bin/sh", "-c", LOWER, "sh", String(score), ...argv];

/** The prefix of a release's scope names. The realm keeps two servers in folders apart that deploy the same app and ID. */
export const scopesOf = ({ app, id }: Confined) => `dp-build.${app}.${id}${realm()}.`;
/** Whether limits take effect here. */
export const hasScopes = () => process.getuid?.() === 0 && existsSync("/run/systemd/system");
/** The most memory of the machine for one app, or for one command that runs for it. */
const MOST_MEMORY = "80%";
let count = 0;

/** Wraps the command in a systemd scope where possible; elsewhere its processes are found by their environment. */
export function confine({ argv, env }: Command, confined: Confined, user?: string): Confinement {
  const { app, opens } = confined;
  // Only root can build the walls, and only for another user.
  const isWalled = opens !== undefined && isOther(user) && hasWalls();
  const inside = isWalled ? behindWalls(argv, { app, opens }) : argv;
  const lowered = lower(500, [program("nice"), "-n", "10", ...inside]);
  if (hasScopes()) {
    const scope = `${scopesOf(confined)}${process.pid}-${++count}.scope`;
    const argv = inScope(scope, propertiesOf(confined.build), lowered);
    return { argv, env, isWalled, end: () => endScopes([scope]) };
  }
  const mark = `${confined.app}@${confined.id}${root() && `:${root()}`}`;
  const marked = () => allPids().filter((pid) => hasEnvironment(pid, `DP_BUILD=${mark}`));
  return { argv: lowered, env: { ...env, DP_BUILD: mark }, isWalled, end: () => endAll(marked, PATIENCE) };
}

function inScope(scope: string, properties: readonly string[], argv: readonly string[]): string[] {
  // The default description would be the whole command line, including scripts of several lines.
  const names = [`--unit=${scope}`, `--description=${scope.replace(/\.scope$/, "")}`];
  const options = ["--scope", "--quiet", "--collect", "--slice=system.slice", ...names];
  return [program("systemd-run"), ...options, ...properties.map((one) => `--property=${one}`), "--", ...argv];
}

/**
 * The command that starts a one-off command of the operator: in a scope with the limits of an instance, where systemd
 * runs and the command is for another user. It outlives a deploy; only the person who typed it ends it.
 */
export function inOwnScope({ argv, env }: Command, app: string | undefined, user: string | undefined): Command {
  if (!hasScopes() || !isOther(user) || app === undefined) return { argv, env };
  const properties = [`TasksMax=${TASKS}`, `MemoryMax=${MOST_MEMORY}`];
  return { argv: inScope(`dp-run.${app}${realm()}.${process.pid}.scope`, properties, lower(300, argv)), env };
}

// The weights are relative to the units of the apps, which have a weight of 100.
function propertiesOf({ memory, cpus, pids = TASKS }: Limits = {}): string[] {
  // Swap counts as memory: a limit that spills over to the disk is no limit.
  const most = memory === undefined ? [] : [`MemoryMax=${memory.toUpperCase()}`, "MemorySwapMax=0"];
  const quota = cpus === undefined ? [] : [`CPUQuota=${Math.max(1, Math.round(Number(cpus) * 100))}%`];
  return ["CPUWeight=20", "IOWeight=20", `TasksMax=${pids}`, ...most, ...quota];
}

/** Ends what the commands of that release left running when their deploy was killed. */
export async function endConfined(confined: Confined): Promise<void> {
  if (hasScopes()) await endScopes(groupsIn(systemSlice(), scopesOf(confined)));
}

function endScopes(scopes: readonly string[]): Promise<void> {
  const slice = systemSlice();
  return endAll(() => scopes.flatMap((scope) => processesInGroup(`${slice}/${scope}`)), PATIENCE);
}
