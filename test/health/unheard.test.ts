// Whether a request would be in vain: asked of a real process in this network, and of one with a network of its own.
import { afterEach, expect, test } from "bun:test";
import { isUnheard } from "../../lib/health/unheard.ts";
import { until } from "../managers/contract.ts";
import { freePort } from "../support/core-server.ts";

const children: Bun.Subprocess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill("SIGKILL");
    await child.exited;
  }
});

function started(...argv: string[]): number {
  const child = Bun.spawn(argv, { stdio: ["ignore", "ignore", "ignore"] });
  children.push(child);
  return child.pid;
}

test("nobody is heard until somebody listens", async () => {
  const port = await freePort();
  const pid = started("sleep", "600");
  expect(isUnheard(pid, port)).toBe(true);
  const listener = Bun.listen({ hostname: "0.0.0.0", port, socket: { data: () => undefined } });
  expect(isUnheard(pid, port)).toBe(false);
  listener.stop(true);
  expect(isUnheard(pid, port)).toBe(true);
});

test("of a process that is gone, or not known, nothing is said", async () => {
  const port = await freePort();
  expect(isUnheard(null, port)).toBe(false);
  expect(isUnheard(2 ** 22, port)).toBe(false);
});

const canUnshare = Bun.spawnSync(["unshare", "--net", "true"], { stderr: "ignore" }).exitCode === 0;

test.skipIf(!canUnshare)("the sockets of another network are not seen from here", async () => {
  const port = await freePort();
  const pid = started("unshare", "--net", "sleep", "600");
  await until("it has a network of its own", () => !isUnheard(pid, port));
});
