// How often a manager is asked about an instance that is watched: a real process that stays, and one that ends.
import { expect, test } from "bun:test";
import { watched } from "../../lib/health/watched.ts";
import type { Manager } from "../../lib/contracts/manager.ts";
import type { InstanceStatus } from "../../lib/host/instance.ts";

const name = { app: "shop", id: "1-aaaaaaa" };

/** A manager of one process, and how often it was asked. */
function managerOf(child: Bun.Subprocess, more: Partial<InstanceStatus> = {}) {
  let asked = 0;
  const status = async (): Promise<InstanceStatus> => {
    asked++;
    if (child.exitCode !== null || child.signalCode !== null)
      return { state: "failed", pid: null, restarts: 0, since: null, detail: "killed by SIGKILL" };
    return { state: "running", pid: child.pid, restarts: 0, since: null, detail: "", ...more };
  };
  return { manager: { status } as unknown as Manager, asked: () => asked };
}

test("a manager is asked once about a process that stays, and again when it has ended", async () => {
  const child = Bun.spawn(["sleep", "600"]);
  const { manager, asked } = managerOf(child);
  const statusOf = watched(manager, name);
  for (let look = 0; look < 5; look++) expect((await statusOf()).pid).toBe(child.pid);
  expect(asked()).toBe(1);
  child.kill("SIGKILL");
  await child.exited;
  expect(await statusOf()).toMatchObject({ state: "failed", detail: "killed by SIGKILL" });
  expect(asked()).toBe(2);
});

test("an instance with a health check of its own is asked about each time", async () => {
  const child = Bun.spawn(["sleep", "600"]);
  const { manager, asked } = managerOf(child, { isUnhealthy: false });
  const statusOf = watched(manager, name);
  for (let look = 0; look < 3; look++) await statusOf();
  expect(asked()).toBe(3);
  child.kill("SIGKILL");
  await child.exited;
});
