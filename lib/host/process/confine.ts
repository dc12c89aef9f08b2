// Commands that a commit brings along, builds and hooks: below the app in rank, within limits, and gone with all they started.
import { existsSync } from "node:fs";
import { realm, root } from "../../paths.ts";
import { groupsIn, processesInGroup, systemSlice } from "./cgroup.ts";
import { endAll } from "./end-all.ts";
import { allPids } from "./proc.ts";
import { hasEnvironment } from "./process.ts";
import { isOther, program, type Command } from "./privilege.ts";
import { behindWalls, hasWalls } from "./walls.ts";

/** At most this much of the machine, for a container or for what a build starts. */
export interface Limits {
  /** "512m", "2g"; no limit without it. */
  memory?: string;
  /** "1.5" of its processors; no limit without it. */
  cpus?: string;
  /** Processes and threads. */
  pids?: number;
}

/** Whose command it is, and what the operator allows it. */
export interface Confined {
  app: string;
  /** The release. */
  id: string;
  build?: Limits | undefined;
  /** What it may write to in the app's base, see walls.ts; without it the command sees all that its user may. */
  opens?: readonly string[] | undefined;
}

/** A command made ready. */
export interface Confinement extends Command {
  /** Whether a process in between tells of a signal by its exit code, 128 and the signal's number. */
  isWalled?: boolean;
  /** Ends what the command has left running. */
  end(): Promise<void>;
}

/** What is left has this long from SIGTERM to SIGKILL, in ms. */
const PATIENCE = 1_000;
/** Processes and threads: as many as the app itself may have. */
const TASKS = 4096;
// When memory is short the kernel ends a build, then one-off commands, and the app only after them. The variable is one
// that systemd-run adds.
const LOWER = 'unset INVOCATION_ID; { echo "$1" >/proc/self/oom_score_adj; } 2>/dev/null; shift; exec "$@"';
const lower = (score: number, argv: readonly string[]) => ["/bin/sh", "-c", LOWER, "sh", String(score), ...argv];

/** How the names of a release's scopes begin; two servers in folders may deploy one app and ID at once. */
export const scopesOf = ({ app, id }: Confined) => `dp-build.${app}.${id}${realm()}.`;
/** Whether limits have an effect here. */
export const hasScopes = () => process.getuid?.() === 0 && existsSync("/run/systemd/system");
/** What one app, or one command in its name, has of the machine's memory at most. */
const MOST_MEMORY = "80%";
let count = 0;

/** The command in a scope of systemd's where there is one, and known by its environment elsewhere. */
export function confine({ argv, env }: Command, confined: Confined, user?: string): Confinement {
  const { app, opens } = confined;
  // Walls are put up by root, for somebody else.
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
  // Without a description it would be the whole command line, scripts of several lines among it.
  const names = [`--unit=${scope}`, `--description=${scope.replace(/\.scope$/, "")}`];
  const options = ["--scope", "--quiet", "--collect", "--slice=system.slice", ...names];
  return [program("systemd-run"), ...options, ...properties.map((one) => `--property=${one}`), "--", ...argv];
}

/**
 * A command of the operator's in the app's name, as it is started: in a scope with the limits of an instance, where
 * systemd runs and it is for another user. It outlives a deploy, and is ended by nobody but who typed it.
 */
export function inOwnScope({ argv, env }: Command, app: string | undefined, user: string | undefined): Command {
  if (!hasScopes() || !isOther(user) || app === undefined) return { argv, env };
  const properties = [`TasksMax=${TASKS}`, `MemoryMax=${MOST_MEMORY}`];
  return { argv: inScope(`dp-run.${app}${realm()}.${process.pid}.scope`, properties, lower(300, argv)), env };
}

// Beside the units of the apps, which have a weight of 100.
function propertiesOf({ memory, cpus, pids = TASKS }: Limits = {}): string[] {
  // Swap counts as memory: a limit that spills over to the disk is none.
  const most = memory === undefined ? [] : [`MemoryMax=${memory.toUpperCase()}`, "MemorySwapMax=0"];
  const quota = cpus === undefined ? [] : [`CPUQuota=${Math.max(1, Math.round(Number(cpus) * 100))}%`];
  return ["CPUWeight=20", "IOWeight=20", `TasksMax=${pids}`, ...most, ...quota];
}

/** Ends what commands of that release left running when their deploy was killed. */
export async function endConfined(confined: Confined): Promise<void> {
  if (hasScopes()) await endScopes(groupsIn(systemSlice(), scopesOf(confined)));
}

function endScopes(scopes: readonly string[]): Promise<void> {
  const slice = systemSlice();
  return endAll(() => scopes.flatMap((scope) => processesInGroup(`${slice}/${scope}`)), PATIENCE);
}
