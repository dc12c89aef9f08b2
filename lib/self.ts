// How this dp is started again, by hooks and for a deploy's own process.
import { resolve } from "node:path";
import { plainEnv } from "./run.ts";

/**
 * The argv of dp itself, absolute, and hardened: bun would read bunfig.toml and .env of the current folder,
 * and download what it cannot import.
 */
export const SELF: readonly string[] = [
  process.execPath,
  "--no-env-file",
  "--config=/dev/null",
  "--no-install",
  resolve(import.meta.dir, "../bin/dp"),
];

/** The environment in which dp starts itself. */
export function selfEnv(): Record<string, string> {
  const env = plainEnv();
  for (const name of ["DP_ROOT", "DP_STEPS", "USER", "LOGNAME"]) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}
