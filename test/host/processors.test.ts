// Whether a processor has nothing to do, by the kernel's own count.
import { expect, test } from "bun:test";
import { availableParallelism } from "node:os";
import { readFileSync } from "node:fs";
import { isAnyIdle, runnable } from "../../lib/host/processors.ts";
import { until } from "../support/sandbox.ts";

test.each<[string, number | null]>([
  ["0.20 0.18 0.12 3/80 11206\n", 3],
  ["12.00 9.10 4.00 41/1200 7\n", 41],
  ["", null],
  ["unlike it\n", null],
])("%j has %p", (text, count) => {
  expect(runnable(text)).toBe(count);
});

test("the kernel of this machine tells it", () => {
  expect(runnable(readFileSync("/proc/loadavg", "utf8"))).toBeGreaterThan(0);
});

test("while more programs than there are processors compute, none is idle", async () => {
  const programs = Array.from({ length: 2 * availableParallelism() + 2 }, () =>
    Bun.spawn(["sh", "-c", "while :; do :; done"], { stdio: ["ignore", "ignore", "ignore"] }),
  );
  try {
    await until("none is idle", () => !isAnyIdle());
  } finally {
    for (const program of programs) program.kill("SIGKILL");
    await Promise.all(programs.map((program) => program.exited));
  }
});
