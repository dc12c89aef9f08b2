// The processes of an app's pm2 daemon, as far as dp needs them.
import * as v from "valibot";
import { DpError } from "../../errors.ts";
import { processName } from "./home.ts";
import { call } from "./rpc.ts";
import type { InstanceName } from "../../host/instance.ts";

// The daemon belongs to the app: every value that it sends is limited.
const count = (most: number) => v.fallback(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(most)), 0);
const LAST_PID = 2 ** 22;
const LAST_TIME = 8.64e15;
const MOST_PROCESSES = 1_000;
const Environment = v.looseObject({
  status: v.fallback(v.string(), ""),
  exec_mode: v.fallback(v.string(), "fork_mode"),
  restart_time: count(Number.MAX_SAFE_INTEGER),
  pm_uptime: count(LAST_TIME),
  exit_code: v.fallback(v.nullable(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(255))), null),
});
const Listed = v.object({ pid: count(LAST_PID), name: v.string(), pm_id: v.number(), pm2_env: Environment });

/**
 * One process of pm2; `pm2_env` is everything that pm2 knows of it, and the content of a dump. `pid`: 0 when it does
 * not run.
 */
export type Listed = v.InferOutput<typeof Listed>;

/** Every process of the app's pm2, dp's or not; null when its daemon does not run. */
export async function listing(app: string): Promise<Listed[] | null> {
  const answer = await call(app, "getMonitorData", [{}]);
  if (answer === null) return null;
  const parsed = v.safeParse(v.pipe(v.array(Listed), v.maxLength(MOST_PROCESSES)), answer);
  if (parsed.success) return parsed.output;
  throw new DpError("command", `pm2 of ${app} lists its processes in an unknown format`);
}

/** The processes of one instance, one for each worker; null when the daemon does not run. */
export async function listed(name: InstanceName): Promise<Listed[] | null> {
  const all = await listing(name.app);
  return all && all.filter((entry) => entry.name === processName(name)).sort((a, b) => a.pm_id - b.pm_id);
}
