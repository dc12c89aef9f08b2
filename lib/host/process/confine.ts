// Commands that a commit brings along, builds and hooks: below the app in rank, within limits, and gone with all they started.
import { existsSync } from "node:fs";
import { realm, root } from "../../paths.ts";
import { groupsIn, processesInGroup, systemSlice } from "./cgroup.ts";
import { endAll } from "./end-all.ts";
import { allPids } from "./proc.ts";
import { hasEnvironment } from "./process.ts";
import { program } from "./privilege.ts";

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
}

/** A command made ready. */
export interface Confinement {
  argv: string[];
  env: Record<string, string>;
  /** Ends what the command has left running. */
  end(): Promise<void>;
}

/** What is left has this long from SIGTERM to SIGKILL, in ms. */
const PATIENCE = 1_000;
/** Processes and threads: as many as the app itself may have. */
const TASKS = 4096;
// When memory is short the kernel ends a build, and never the app for it. The variable is one that systemd-run adds.
const LOWER = 'unset INVOCATION_ID; { echo 500 >/proc/self/oom_score_adj; } 2>/dev/null; exec "$@"';

/** How the names of a release's scopes begin; two servers in folders may deploy one app and ID at once. */
export const scopesOf = ({ app, id }: Confined) => `dp-build.${app}.${id}${realm()}.`;
/** Whether limits have an effect here. */
export const hasScopes = () => process.getuid?.() === 0 && existsSync("/run/systemd/system");
let count = 0;

/** The command in a scope of systemd's where there is one, and known by its environment elsewhere. */
export function confine(argv: readonly string[], env: Record<string, string>, confined: Confined): Confinement {
  const lowered = ["/bin/sh", "-c", LOWER, "sh", program("nice"), "-n", "10", ...argv];
  if (hasScopes()) {
    const scope = `${scopesOf(confined)}${process.pid}-${++count}.scope`;
    const words = [program("systemd-run"), ...["--scope", "--quiet", "--collect", "--slice=system.slice"]];
    return {
      argv: [
        ...words,
        `--unit=${scope}`,
        ...propertiesOf(confined.build).map((one) => `--property=${one}`),
        "--",
        ...lowered,
      ],
      env,
      end: () => endScopes([scope]),
    };
  }
  const mark = `${confined.app}@${confined.id}${root() && `:${root()}`}`;
  const marked = () => allPids().filter((pid) => hasEnvironment(pid, `DP_BUILD=${mark}`));
  return { argv: lowered, env: { ...env, DP_BUILD: mark }, end: () => endAll(marked, PATIENCE) };
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
