// How many files, sockets among them, the programs of the bench may have open.
import { readFileSync } from "node:fs";

/** What two connections for each of ten thousand clients take, and more. */
const WANTED = 65_536;

/** Raises the limit of this process and of all that it starts, where that is allowed; answers what it is then. */
export function openFiles(): number {
  if (Bun.which("prlimit") !== null)
    Bun.spawnSync(["prlimit", "--pid", String(process.pid), `--nofile=${WANTED}:${WANTED}`], { stdin: "ignore" });
  return Number(/^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1]);
}
