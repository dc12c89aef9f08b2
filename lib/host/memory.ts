// Memory that new processes can use: what the kernel reports as available, or less in a container with a limit.
import { readFileSync } from "node:fs";
import { readProc } from "./process/proc.ts";

/** The memory files of one control group; null where there is no limit. */
export interface Group {
  limit: string;
  used: string;
  /** The text of memory.stat. The page cache counts as available: the kernel frees it on demand. */
  stat: string;
}

/** Where a container finds its own control group (v2, then v1). Outside a container these files do not exist. */
const GROUPS = [
  { limit: "memory.max", used: "memory.current" },
  { limit: "memory/memory.limit_in_bytes", used: "memory/memory.usage_in_bytes" },
];

/** Bytes available without swapping; null when the kernel does not report them. */
export function availableMemory(): number | null {
  return availableFrom(readProc("meminfo") ?? "", GROUPS.map(groupOf));
}

/** The same, computed from the text of the kernel's files. */
export function availableFrom(meminfo: string, groups: readonly (Group | null)[]): number | null {
  const kilobytes = /^MemAvailable:\s+(\d+) kB$/m.exec(meminfo)?.[1];
  if (kilobytes === undefined) return null;
  const left = groups.flatMap((group) => (group && /^\d+$/.test(group.limit) ? [leftIn(group)] : []));
  return Math.min(Number(kilobytes) * 1024, ...left);
}

function leftIn({ limit, used, stat }: Group): number {
  const cached = Number(/^(?:total_)?inactive_file (\d+)$/m.exec(stat)?.[1] ?? 0);
  return Math.max(0, Number(limit) - Number(used) + cached);
}

function groupOf({ limit, used }: (typeof GROUPS)[number]): Group | null {
  const read = (name: string) => readFileSync(`/sys/fs/cgroup/${name}`, "utf8").trim();
  try {
    return { limit: read(limit), used: read(used), stat: read(used.replace(/[^/]*$/, "memory.stat")) };
  } catch {
    return null; // the other cgroup version, or no container
  }
}
