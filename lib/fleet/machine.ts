// The figures of this server: load, memory, disk, how long it is up, and whether it wants a restart.
import { existsSync, readFileSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { availableParallelism, hostname, loadavg, totalmem, uptime } from "node:os";
import { availableMemory } from "../host/memory.ts";
import { deployments } from "../paths.ts";
import type { Report } from "./document.ts";

/** Debian's package managers leave this file when an update needs a restart. */
const REBOOT = "/run/reboot-required";

export async function machine(): Promise<
  Pick<Report, "host" | "os" | "up" | "load" | "cpus" | "mem" | "disk" | "reboot">
> {
  const total = totalmem();
  return {
    host: hostname(),
    os: systemName(),
    up: Math.floor(uptime()),
    load: Math.round(loadavg()[0]! * 100) / 100,
    cpus: availableParallelism(),
    mem: { used: Math.max(0, total - (availableMemory() ?? total)), total },
    disk: await disk(),
    reboot: existsSync(REBOOT),
  };
}

function systemName(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "Linux";
  } catch {
    return "Linux";
  }
}

/** The disk of the apps; before the first app, that of the whole system. */
async function disk(): Promise<Report["disk"]> {
  const { bsize, blocks, bfree, bavail, files, ffree } = await statfs(existsSync(deployments()) ? deployments() : "/");
  const used = (blocks - bfree) * bsize;
  // As df counts: what is reserved for root is not there for anybody else.
  return { used, total: used + bavail * bsize, inodes: files === 0 ? null : (files - ffree) / files };
}
