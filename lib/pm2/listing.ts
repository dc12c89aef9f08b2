// What pm2's daemon of an app runs, as far as dp wants to know.
import * as v from "valibot";
import { DpError } from "../errors.ts";
import type { InstanceName } from "../manager.ts";
import { processName } from "./home.ts";
import { call } from "./rpc.ts";

const count = v.fallback(v.pipe(v.number(), v.integer(), v.minValue(0)), 0);
const Environment = v.looseObject({
  status: v.fallback(v.string(), ""),
  exec_mode: v.fallback(v.string(), "fork_mode"),
  restart_time: count,
  pm_uptime: count,
  exit_code: v.fallback(v.nullable(v.number()), null),
});
const Listed = v.object({ pid: count, name: v.string(), pm_id: v.number(), pm2_env: Environment });

/** One process of pm2; `pm2_env` is all that pm2 knows of it, and what a dump holds. `pid`: 0 when it does not run. */
export type Listed = v.InferOutput<typeof Listed>;

/** Every process of the app's pm2, dp's or not; null when its daemon does not run. */
export async function listing(app: string): Promise<Listed[] | null> {
  const answer = await call(app, "getMonitorData", [{}]);
  if (answer === null) return null;
  const parsed = v.safeParse(v.array(Listed), answer);
  if (parsed.success) return parsed.output;
  throw new DpError("command", `pm2 of ${app} lists its processes in a way that dp does not know`);
}

/** The processes of one instance: one, or as many as it has workers; null when the daemon does not run. */
export async function listed(name: InstanceName): Promise<Listed[] | null> {
  const all = await listing(name.app);
  return all && all.filter((entry) => entry.name === processName(name)).sort((a, b) => a.pm_id - b.pm_id);
}
