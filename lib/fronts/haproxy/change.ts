// What every change of dp's HAProxy needs: the program, one change at a time, and a port that is free.
import { DpError } from "../../errors.ts";
import { waitForLock } from "../../host/lock.ts";
import { describeOwners } from "../../host/process/port-owners.ts";
import { listener } from "../../host/process/process.ts";
import { run } from "../../host/run.ts";
import { filesOf, haproxyProgram } from "./places.ts";
import { makeFolder } from "./process.ts";
import { readKept, type Kept } from "./routes.ts";
import { processes } from "./runtime.ts";

/** Why HAProxy cannot be used here, or null. */
export async function unavailable(): Promise<string | null> {
  const program = haproxyProgram();
  if (program === null) return "haproxy is not installed: apt-get install haproxy";
  const { text } = await run([program, "-vv"]);
  const [, major, minor] = /version (\d+)\.(\d+)/.exec(text) ?? [];
  if (Number(major) * 100 + Number(minor) < 206) return `${program} is ${major}.${minor}, and dp needs 2.6`;
  return /USE_LUA=1|\+LUA/.test(text) ? null : `${program} was built without Lua`;
}

/** Makes one change at a time: apps and balancers share the files. */
export async function locked<T>(change: (kept: Kept) => Promise<T>): Promise<T> {
  const nobody = () => undefined;
  await makeFolder();
  const lock = await waitForLock(filesOf().lock, nobody, nobody);
  try {
    return await change(await readKept());
  } finally {
    lock.release();
  }
}

/** Throws DpError "host" when another program holds a port; `instead`: what to do about that. */
export async function requireFree(port: number, instead: string): Promise<void> {
  const own = await processes();
  const pids = own ? [own.master, ...own.workers.map(({ pid }) => pid)] : [];
  const others = (await listener(port)).filter(({ pid }) => pid === null || !pids.includes(pid));
  // HAProxy itself would share the port with another HAProxy.
  if (others.length === 0) return;
  throw new DpError("host", `HAProxy cannot listen on port ${port}: it is held by ${await describeOwners(others)}`, {
    hint: `end that process, or ${instead}`,
  });
}
