// A program: the rows of `dp status` or `dp apps` for some of many apps. Another dp does the rest: lib/host/shares.ts.
import { writeSync } from "node:fs";
import type { Task } from "../host/shares.ts";

const TASKS: Readonly<Record<string, () => Promise<Task<unknown>>>> = {
  status: async () => (await import("./status.ts")).statusesOf,
  apps: async () => (await import("./apps.ts")).rowsOf,
};

/** Reads the names from stdin, and writes the rows that there are. */
export async function main(what = ""): Promise<void> {
  const task = await TASKS[what]!();
  const names = JSON.parse(await Bun.stdin.text()) as string[];
  const rows = (await task(names)).flatMap((outcome, at) =>
    outcome.status === "fulfilled" ? [[names[at], outcome.value]] : [],
  );
  let bytes = Buffer.from(JSON.stringify(rows));
  while (bytes.length > 0) bytes = bytes.subarray(writeSync(1, bytes));
}

if (import.meta.main) void main(process.argv[2]);
