// Memory that new processes can have: what the kernel says is available, or less where this is a container with a limit.
import { readFileSync } from "node:fs";
import { readProc } from "./process/proc.ts";

/** What the limit of a control group leaves: null where there is none. */
export interface Group {
  limit: string;
  used: string;
  /** Text of memory.stat: pages of files are given back when somebody else wants them. */
  stat: string;
}

/** Where a container finds its own group, unified and of version 1; on a machine of its own there is no limit there. */
const GROUPS = [
  { limit: "memory.max", used: "memory.current" },
  { limit: "memory/memory.limit_in_bytes", used: "memory/memory.usage_in_bytes" },
];

/** Bytes that can be had without swapping; null when the kernel does not say. */
export function availableMemory(): number | null {
  return availableFrom(readProc("meminfo") ?? "", GROUPS.map(groupOf));
}

/** The same, out of the kernel's own words. */
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
    return null; // another version, or no container
  }
}
