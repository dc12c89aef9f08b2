// What a program and its children use: processor time and memory.
import { readFileSync } from "node:fs";
import { rss } from "../memory.ts";

/** Clock ticks of /proc in a second: the same on every Linux. */
const TICKS = 100;

const read = (pid: number, file: string) => readFileSync(`/proc/${pid}/${file}`, "utf8");

/** A process and all below it. */
export function tree(pid: number): number[] {
  const tasks = [...new Bun.Glob("*").scanSync({ cwd: `/proc/${pid}/task`, onlyFiles: false })];
  const children = tasks.flatMap((task) => read(pid, `task/${task}/children`).trim().split(" ").filter(Boolean));
  return [pid, ...children.flatMap((child) => tree(Number(child)))];
}

/** The processor time that they have used so far, in seconds. */
export function timeOf(pid: number): number {
  const ticks = tree(pid).map((each) => {
    const stat = read(each, "stat");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return Number(fields[11]) + Number(fields[12]);
  });
  return ticks.reduce((sum, each) => sum + each, 0) / TICKS;
}

/** Their resident memory, in MB. */
export const memoryOf = (pid: number): number => tree(pid).reduce((sum, each) => sum + rss(each), 0);
