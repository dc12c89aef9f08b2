// Process information from /proc: start times, parents, arguments, environments.
import { statSync } from "node:fs";
import { allPids, listProc, readProc } from "./proc.ts";

export { isListening, listenedPorts, listener, listeningIn, listeningPorts, type Listener } from "./listener.ts";

/** One process from /proc/PID/task/PID/stat. `startTime` is in clock ticks since boot. */
export interface ProcessEntry {
  pid: number;
  parent: number;
  session: number;
  /** "R", "S", "D", "Z" and so on. */
  state: string;
  startTime: number;
}

/** One process, or null when no process has that pid. */
export function processEntry(pid: number): ProcessEntry | null {
  // That of its first thread: for the process the kernel would sum up all threads, and make each that starts or ends wait.
  const stat = readProc(`${pid}/task/${pid}/stat`);
  if (stat === null) return null;
  // The name in parentheses may contain anything, even ")" and spaces. The text after it starts with field 3.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ", 20);
  return {
    pid,
    state: fields[0]!,
    parent: Number(fields[1]),
    session: Number(fields[3]),
    startTime: Number(fields[19]),
  };
}

/** Whether this process leads a session without a terminal: neither a key nor a lost connection ends it. */
export function isOnItsOwn(): boolean {
  const stat = readProc("self/stat") ?? "";
  const [, , , session, terminal] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return session === String(process.pid) && terminal === "0";
}

/**
 * The start of a process in clock ticks since boot (field 22 of stat), or null. Pid and start time together identify a
 * process.
 */
export function startTime(pid: number): number | null {
  return processEntry(pid)?.startTime ?? null;
}

/** Whether the process is running and, with `startTime`, is still the same one. A zombie is not running. */
export function isAlive(pid: number, startTime?: number): boolean {
  const entry = processEntry(pid);
  if (entry === null || entry.state === "Z" || entry.state === "X") return false;
  return startTime === undefined || entry.startTime === startTime;
}

/** The name of a process, at most 15 bytes, or null when no process has that pid. */
export function processName(pid: number): string | null {
  return readProc(`${pid}/comm`)?.trimEnd() ?? null;
}

/** The effective user of a process, or null when it is gone. */
export function userOf(pid: number): number | null {
  return statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid ?? null;
}

/** Every running process, without zombies. */
export function processTable(): ProcessEntry[] {
  return allPids()
    .map(processEntry)
    .filter((entry): entry is ProcessEntry => entry !== null && entry.state !== "Z" && entry.state !== "X");
}

/** The given processes and all their descendants that are running. */
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

/** Whether the initial environment of a process contains exactly this entry, `NAME=value`. */
export function hasEnvironment(pid: number, entry: string): boolean {
  return readProc(`${pid}/environ`)?.split("\0").includes(Buffer.from(entry).toString("latin1")) ?? false;
}

/** The value of a variable in the initial environment of a process; null: it is not set, or the process is gone. */
export function environmentOf(pid: number, name: string): string | null {
  const entry = readProc(`${pid}/environ`)
    ?.split("\0")
    .find((line) => line.startsWith(`${name}=`));
  return entry === undefined ? null : entry.slice(name.length + 1);
}

/** The resident memory of processes, in bytes. Shared pages are counted for each process. */
export function residentMemory(pids: readonly number[]): number {
  const sizes = pids.map((pid) => /^VmRSS:\s*(\d+) kB$/m.exec(readProc(`${pid}/status`) ?? "")?.[1]);
  return sizes.reduce((sum, size) => sum + Number(size ?? 0) * 1024, 0);
}

/** A process and its descendants, looked up one by one: for a few processes that is quicker than a table of all. */
export function family(pid: number): number[] {
  const children = listProc(`${pid}/task`).flatMap(
    (task) => readProc(`${pid}/task/${task}/children`)?.match(/\d+/g) ?? [],
  );
  return [pid, ...children.map(Number).flatMap(family)];
}

/** The arguments of a process; empty when it is gone. */
export function argumentsOf(pid: number): string[] {
  const line = readProc(`${pid}/cmdline`);
  return line ? Buffer.from(line, "latin1").toString().replace(/\0$/, "").split("\0") : [];
}

let boot: string | undefined;

/** Identifies this boot of the machine: a pid from another boot is meaningless. */
export function bootId(): string {
  return (boot ??= readProc("sys/kernel/random/boot_id")?.trim() ?? "unknown");
}
