// How long one step may take: what follows from the configs, and what becomes of a step that does not come back.
import { expect, test } from "bun:test";
import { deployConfig, serverConfig } from "../support/configs.ts";
import { DpError } from "../../lib/errors.ts";
import { makeIo, silentLog } from "../../lib/host/io.ts";
import { stepLimit, within } from "../../lib/pipeline/limit.ts";

const limitOf = (server: string, deploy?: string) =>
  stepLimit({
    version: 1,
    journal: {},
    facts: {
      server: serverConfig(`port: 8000\nmanager: builtin\n${server}`),
      ...(deploy === undefined ? {} : { config: deployConfig(`name: a\ntype: python\n${deploy}`) }),
    },
  });
const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error as DpError,
  );
const never = () => new Promise<never>(() => undefined);

test("no wait that the configs ask for is cut, however long the commands are", () => {
  const hour = 3_600_000;
  const base = limitOf("");
  expect(base).toBeGreaterThan(4 * 900_000);
  expect(limitOf("stepTimeout: 6h\n")).toBeGreaterThanOrEqual(24 * hour);
  expect(limitOf("drainTimeout: 1h\n") - base).toBeGreaterThanOrEqual(hour - 30_000);
  expect(limitOf("holdTimeout: 10m\nverifyTime: 10m\n") - base).toBeGreaterThanOrEqual(1_100_000);
  const slow = "healthCheck: {path: /, startTimeout: 10m}\n";
  expect(limitOf("", slow) - base).toBeGreaterThanOrEqual(600_000);
  const workers = `${slow}processes: {worker: {command: w, healthCheck: {stayUp: 60s}, stopTimeout: 10m}}\n`;
  expect(limitOf("scale: {worker: 5}\n", workers) - limitOf("", slow)).toBeGreaterThanOrEqual(5 * 660_000);
});

test("what ends in time is answered, and what fails in time fails by itself", async () => {
  expect(await within(60_000, "it", undefined, async () => "done")).toBe("done");
  const own = new DpError("unhealthy", "not well");
  expect(await errorOf(within(60_000, "it", undefined, () => Promise.reject(own)))).toBe(own);
});

test("a command that goes on for ever is ended with the step's limit as its reason", async () => {
  let pid = "";
  const onLine = (line: string) => (pid = line);
  const work = (signal: AbortSignal) =>
    makeIo(silentLog, signal).run(["sh", "-c", "echo $$; exec sleep 1000"], { onLine });
  const error = await errorOf(within(300, "step start", undefined, work));
  expect([error?.exit, error?.message]).toEqual(["command", "step start did not end within 300ms, its limit"]);
  expect(error?.hint).toContain("stepTimeout");
  expect(() => process.kill(Number(pid), 0)).toThrow();
});

test("a step that does not even stop when it is told to is waited for no longer", async () => {
  let told = false;
  const work = (signal: AbortSignal) => {
    signal.addEventListener("abort", () => (told = true));
    return never();
  };
  expect((await errorOf(within(10, "step start", undefined, work, 10)))?.message).toContain("step start did not end");
  expect(told).toBe(true);
});

test("who is told to stop by somebody else has that reason", async () => {
  const stop = new AbortController();
  const reason = new DpError("terminated", "stopped");
  const work = (signal: AbortSignal) => makeIo(silentLog, signal).run(["sleep", "1000"]);
  const ended = errorOf(within(60_000, "it", stop.signal, work));
  stop.abort(reason);
  expect(await ended).toBe(reason);
});
