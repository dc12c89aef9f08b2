// The memory of a process and everything it started: that of its control group when the group is its own.
import { readFileSync } from "node:fs";
import { residentMemory, family } from "./process.ts";
import { readProc } from "./proc.ts";

const ROOT = "/sys/fs/cgroup";
/** Where the numbers of a group are, and the page cache that the kernel frees on demand: version 2, then 1. */
const FILES = [
  { hierarchy: /^0::(\/.*)$/m, at: ROOT, used: "memory.current", cached: /^inactive_file (\d+)$/m },
  {
    hierarchy: /^\d+:memory:(\/.*)$/m,
    at: `${ROOT}/memory`,
    used: "memory.usage_in_bytes",
    cached: /^total_inactive_file (\d+)$/m,
  },
];

/**
 * Bytes used by a main process and its descendants; null when it is gone. `isOwn` tells by a group's path whether
 * nothing else is in it.
 */
export function memoryOf(pid: number, isOwn: (group: string) => boolean): number | null {
  const groups = readProc(`${pid}/cgroup`);
  if (groups === null) return null;
  for (const { hierarchy, at, used, cached } of FILES) {
    const group = hierarchy.exec(groups)?.[1];
    if (group === undefined || !isOwn(group)) continue;
    try {
      const all = Number(readFileSync(`${at}${group}/${used}`, "utf8"));
      const cache = Number(cached.exec(readFileSync(`${at}${group}/memory.stat`, "utf8"))?.[1] ?? 0);
      return Math.max(0, all - cache);
    } catch {
      continue; // the other version, or no accounting
    }
  }
  return residentMemory(family(pid)) || null;
}
