// Control groups in the kernel's file tree: which processes are in one.
import { readdirSync, readFileSync } from "node:fs";
import { codeOf } from "../../errors.ts";
import { readProc } from "./proc.ts";

// Mount points of the cgroup tree: unified, hybrid, version 1.
const MOUNTS = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"];

/** The processes in a control group such as /system.slice/cron.service, including its child groups. */
export function processesInGroup(group: string): number[] {
  for (const mount of MOUNTS) {
    const pids = processesBelow(`${mount}${group}`);
    if (pids.length > 0) return pids.sort((a, b) => a - b);
  }
  return [];
}

function processesBelow(folder: string): number[] {
  try {
    const own = readFileSync(`${folder}/cgroup.procs`, "utf8").split("\n").filter(Boolean).map(Number);
    return [...own, ...foldersIn(folder).flatMap((name) => processesBelow(`${folder}/${name}`))];
  } catch (error) {
    // The group disappears with its last process.
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENODEV") return [];
    throw error;
  }
}

const foldersIn = (folder: string) =>
  readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);

/** The path of systemd's system.slice, which may be nested in a container. */
export function systemSlice(): string {
  const found = /:((?:\/[^\n]*)?)\/init\.scope$/m.exec(readProc("1/cgroup") ?? "");
  return `${found?.[1] ?? ""}/system.slice`;
}

/** The names of a group's children that start with `beginning`. */
export function groupsIn(group: string, beginning: string): string[] {
  const names = MOUNTS.flatMap((mount) => {
    try {
      return foldersIn(`${mount}${group}`);
    } catch (error) {
      if (codeOf(error) === "ENOENT") return [];
      throw error;
    }
  });
  return [...new Set(names)].filter((name) => name.startsWith(beginning));
}
