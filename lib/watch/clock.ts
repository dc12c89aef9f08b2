// Looks every 20 seconds without systemd: a program under dp's own supervisor.
import { SELF, selfEnv } from "../host/self.ts";

/** From the end of one look to the start of the next, in ms, and how long one may take. */
const PAUSE = 20_000;
const LIMIT = 20_000;

/** The whole program, until it is ended. */
export async function main(): Promise<void> {
  for (;;) {
    const env = { ...selfEnv(), DP_BY: "system" };
    const look = Bun.spawn([...SELF, "watch"], { cwd: "/", env, stdio: ["ignore", "ignore", "inherit"] });
    const timer = setTimeout(() => look.kill("SIGKILL"), LIMIT);
    await look.exited;
    clearTimeout(timer);
    await Bun.sleep(PAUSE);
  }
}

if (import.meta.main) void main();
