// A signal reaches the process that is meant, and never another of its number.
import { expect, test } from "bun:test";
import { isAlive, startTime } from "../../../lib/host/process/process.ts";
import { terminate } from "../../../lib/host/process/signal.ts";

test("ends exactly that process; one of its number that started at another time is left alone", async () => {
  const child = Bun.spawn(["sleep", "1000"]);
  const start = startTime(child.pid)!;
  expect(terminate(child.pid, start - 1)).toBe(false);
  expect(isAlive(child.pid, start)).toBe(true);
  expect(terminate(child.pid, start)).toBe(true);
  await child.exited;
  expect(child.signalCode).toBe("SIGTERM");
  expect(terminate(child.pid, start)).toBe(false);
});
