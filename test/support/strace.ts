// System calls of dp, as strace sees them: counted, cut off by a signal, or written down.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { programOf } from "./installed.ts";
import type { Outcome, Sandbox } from "./sandbox.ts";

const TRACED = join(import.meta.dir, "traced.ts");

/** Why strace cannot be used here, or null. */
export function straceUnavailable(): string | null {
  if (Bun.which("strace") === null) return "strace is not installed";
  const { exitCode } = Bun.spawnSync(["strace", "-qq", "-o", "/dev/null", "true"], { stderr: "ignore" });
  return exitCode === 0 ? null : "this user may not trace";
}

/** Runs dp with the deploying process under strace; `options` are strace's. */
export function dpTraced(box: Sandbox, options: readonly string[], ...args: string[]): Promise<Outcome> {
  return box.start(preloaded(box, args), { DP_TEST_STRACE: JSON.stringify(options) }).done;
}

/**
 * Runs dp itself under strace, and what it starts with it when the options say so; answers the exit code. What dp
 * says is lost: strace goes on with what dp leaves running, and would hold a pipe open.
 */
export function straced(box: Sandbox, options: readonly string[], ...args: string[]): Promise<number> {
  const argv = ["strace", "-D", ...options, ...preloaded(box, args)];
  return Bun.spawn(argv, { env: box.env, cwd: "/", stdio: ["ignore", "ignore", "ignore"] }).exited;
}

const preloaded = (box: Sandbox, args: string[]) => [
  ...[
    process.execPath,
    "--no-env-file",
    "--config=/dev/null",
    "--no-install",
    "--preload",
    TRACED,
    programOf(box.program),
  ],
  ...args,
];

/** One system call that was not refused. */
export interface Call {
  /** Seconds since 1970: when it began. */
  time: number;
  /** The thread that made it. */
  task: string;
  name: string;
  /** The paths among its arguments, open files by their path. */
  paths: string[];
  /** Open files that were created by it. */
  creates: boolean;
}

/** The calls out of the files that `strace -ff -y -ttt -o PREFIX` wrote in a folder, in the order of time. */
export function callsIn(folder: string): Call[] {
  const calls = readdirSync(folder).flatMap((task) =>
    readFileSync(join(folder, task), "utf8")
      .split("\n")
      .flatMap((line) => callOf(task, line)),
  );
  return calls.sort((a, b) => a.time - b.time);
}

function callOf(task: string, line: string): Call[] {
  const [, time, name = "", args = ""] = /^(\d+\.\d+) (\w+)\((.*)\)\s+= (?!-1)/.exec(line) ?? [];
  if (time === undefined) return [];
  const paths = [...args.matchAll(/"([^"]*)"|\d<([^>]*)>/g)].map(([, quoted, open]) => quoted ?? open ?? "");
  const creates = name === "openat" && args.includes("O_CREAT");
  return [{ time: Number(time), task, name, paths, creates }];
}
