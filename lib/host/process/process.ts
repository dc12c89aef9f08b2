// What /proc tells of processes: when they started, whose children they are.
import { statSync } from "node:fs";
import { allPids, listProc, readProc } from "./proc.ts";

export { listenedPorts, listener, listeningIn, listeningPorts, type Listener } from "./listener.ts";

/** One process as /proc/PID/stat has it. `startTime` is in clock ticks since boot. */
export interface ProcessEntry {
  pid: number;
  parent: number;
  session: number;
  /** "R", "S", "D", "Z" and so on. */
  state: string;
  startTime: number;
}

/** One process, or null when there is none of that number. */
export function processEntry(pid: number): ProcessEntry | null {
  const stat = readProc(`${pid}/stat`);
  if (stat === null) return null;
  // The name in parentheses may hold anything, ")" and spaces too. What follows starts with field 3.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return {
    pid,
    state: fields[0]!,
    parent: Number(fields[1]),
    session: Number(fields[3]),
    startTime: Number(fields[19]),
  };
}

/** Whether this process leads a session of its own without a terminal: no key and no lost connection ends it then. */
export function isOnItsOwn(): boolean {
  const stat = readProc("self/stat") ?? "";
  const [, , , session, terminal] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return session === String(process.pid) && terminal === "0";
}

/** The start of a process in clock ticks since boot (field 22 of its stat), or null. With the pid it names it for good. */
export function startTime(pid: number): number | null {
  return processEntry(pid)?.startTime ?? null;
}

/** Whether the process runs and, with `startTime`, is still the same one. A zombie does not run. */
export function isAlive(pid: number, startTime?: number): boolean {
  const entry = processEntry(pid);
  if (entry === null || entry.state === "Z" || entry.state === "X") return false;
  return startTime === undefined || entry.startTime === startTime;
}

/** The name of a process, 15 bytes at most, or null when there is none of that number. */
export function processName(pid: number): string | null {
  return readProc(`${pid}/comm`)?.trimEnd() ?? null;
}

/** The effective user of a process, or null when it is gone. */
export function userOf(pid: number): number | null {
  return statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid ?? null;
}

/** Every process that runs: no zombies. */
export function processTable(): ProcessEntry[] {
  return allPids()
    .map(processEntry)
    .filter((entry): entry is ProcessEntry => entry !== null && entry.state !== "Z" && entry.state !== "X");
}

/** The given processes and all below them, as far as they run. */
export function descendants(pids: Iterable<number>, table: readonly ProcessEntry[] = processTable()): number[] {
  const children = new Map<number, number[]>();
  for (const { pid, parent } of table) {
    const siblings = children.get(parent);
    if (siblings) siblings.push(pid);
    else children.set(parent, [pid]);
  }
  const running = new Set(table.map((entry) => entry.pid));
  const found = new Set<number>();
  const waiting = [...pids];
  for (let pid = waiting.pop(); pid !== undefined; pid = waiting.pop()) {
    if (found.has(pid)) continue;
    if (running.has(pid)) found.add(pid);
    waiting.push(...(children.get(pid) ?? []));
  }
  return [...found];
}

/** Whether the environment that a process was started with has exactly this entry, `NAME=value`. */
export function hasEnvironment(pid: number, entry: string): boolean {
  return readProc(`${pid}/environ`)?.split("\0").includes(Buffer.from(entry).toString("latin1")) ?? false;
}

/** The value that a variable had in the environment that a process was started with; null: none, or it is gone. */
export function environmentOf(pid: number, name: string): string | null {
  const entry = readProc(`${pid}/environ`)
    ?.split("\0")
    .find((line) => line.startsWith(`${name}=`));
  return entry === undefined ? null : entry.slice(name.length + 1);
}

/** The memory that processes have in RAM, in bytes; what they share is counted for each. */
export function residentMemory(pids: readonly number[]): number {
  const sizes = pids.map((pid) => /^VmRSS:\s*(\d+) kB$/m.exec(readProc(`${pid}/status`) ?? "")?.[1]);
  return sizes.reduce((sum, size) => sum + Number(size ?? 0) * 1024, 0);
}

/** A process and all below it, asked one by one: of a few processes that is quicker than a table of all. */
export function family(pid: number): number[] {
  const children = listProc(`${pid}/task`).flatMap(
    (task) => readProc(`${pid}/task/${task}/children`)?.match(/\d+/g) ?? [],
  );
  return [pid, ...children.map(Number).flatMap(family)];
}

/** The arguments of a process, or none when it is gone. */
export function argumentsOf(pid: number): string[] {
  const line = readProc(`${pid}/cmdline`);
  return line ? Buffer.from(line, "latin1").toString().replace(/\0$/, "").split("\0") : [];
}

let boot: string | undefined;

/** Names this boot of the machine: a pid from another boot means nothing. */
export function bootId(): string {
  return (boot ??= readProc("sys/kernel/random/boot_id")?.trim() ?? "unknown");
}
