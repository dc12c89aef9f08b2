// A program: the rows of `dp apps` for some of many apps. Another dp does the rest: lib/host/shares.ts.
import { writeSync } from "node:fs";
import { rowsOf } from "./apps.ts";

/** Reads the names from stdin, and writes the rows that there are. */
export async function main(): Promise<void> {
  const names = JSON.parse(await Bun.stdin.text()) as string[];
  const rows = (await rowsOf(names)).flatMap((outcome, at) =>
    outcome.status === "fulfilled" ? [[names[at], outcome.value]] : [],
  );
  let bytes = Buffer.from(JSON.stringify(rows));
  while (bytes.length > 0) bytes = bytes.subarray(writeSync(1, bytes));
}

if (import.meta.main) void main();
