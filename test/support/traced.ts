// Loaded before dp by tests: what changes the disk is done by the main thread, where strace counts it, and in its order.
//
// DP_TEST_STRACE: JSON, the options of the strace that the deploying process runs under.
import { createRequire } from "node:module";
import { workerWith } from "./preload.ts";

type Call = (...args: never[]) => unknown;

const require = createRequire(import.meta.url);
const fs = require("node:fs") as Record<string, Call>;
const promises = require("node:fs/promises") as Record<string, Call>;
for (const name of ["symlink", "unlink", "mkdir", "rmdir", "rename"] as const) {
  const now = fs[`${name}Sync`]!;
  promises[name] = async (...args) => now(...args);
}
type Handle = { fd: number; sync: () => Promise<void> };
const open = promises["open"] as (...args: never[]) => Promise<Handle>;
promises["open"] = async (...args) => {
  const handle = await open(...args);
  handle.sync = async () => sync(handle.fd);
  return handle;
};
const sync = fs["fsyncSync"] as (fd: number) => void;
fs["fsync"] = (fd: number, done: (error: unknown) => void) => {
  try {
    sync(fd);
    done(null);
  } catch (error) {
    done(error);
  }
};

type Options = { env: Record<string, string> };
const spawn = Bun.spawn as (argv: string[], options: Options) => Bun.Subprocess;
(Bun as { spawn: unknown }).spawn = (argv: string[], options: Options) => {
  if (process.argv[2] === "work" || !argv.includes("work")) return spawn(argv, options);
  const given = process.env["DP_TEST_STRACE"];
  const strace = given === undefined ? [] : ["strace", "-D", ...(JSON.parse(given) as string[])];
  return spawn([...strace, ...workerWith(import.meta.path, argv)], options);
};
