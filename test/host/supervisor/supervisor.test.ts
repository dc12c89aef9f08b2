import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exitCodeOf, howEnded } from "../../../lib/host/process/ending.ts";
import { isAlive } from "../../../lib/host/process/process.ts";
import type { Spec, State } from "../../../lib/host/supervisor/supervision.ts";
import { countCrash, supervise, type Crashes } from "../../../lib/host/supervisor/supervisor.ts";
import { until } from "../../managers/contract.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "dp-supervisor-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A spec whose script is `script`; each has a name of its own, so that files can run at once. */
function spec(script: string, more: Partial<Spec> = {}): Spec {
  const id = `${1 + Math.floor(Math.random() * 1e8)}-aaaaaaa`;
  writeFileSync(`${folder}/start.sh`, script);
  const env = { PATH: "/usr/bin:/bin", DP_INSTANCE: `demo@${id}` };
  return {
    ...{ app: "demo", id, folder, script: `${folder}/start.sh`, env, user: null, uid: process.getuid!() },
    ...{ stopTimeout: 2_000, restartDelay: 5, log: `${folder}/log`, state: `${folder}/state.json`, ...more },
  };
}

const state = (): State | null =>
  existsSync(`${folder}/state.json`) ? (JSON.parse(readFileSync(`${folder}/state.json`, "utf8")) as State) : null;
/** What the log holds, without the times before each line. */
const logged = () => readFileSync(`${folder}/log`, "utf8").replaceAll(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z /gm, "");
const never = new Promise<void>(() => undefined);

describe("crashes", () => {
  const none: Crashes = { recent: [], delay: null };

  test("each of the first four doubles the delay, the fifth within a minute is the last", () => {
    let crashes = none;
    const delays = [0, 1, 2, 3, 4].map((second) => (crashes = countCrash(crashes, second * 1000, 10, 1_000)).delay);
    expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, null]);
  });

  test("slow crashes go on for ever, with a delay of a minute at most", () => {
    let crashes = none;
    const delays = Array.from(
      { length: 10 },
      (_, index) => (crashes = countCrash(crashes, index * 16_000, 15_000, 1_000)).delay,
    );
    expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000, 60_000]);
  });

  test("a minute of good running makes the next crash the first again", () => {
    const before: Crashes = { recent: [0, 1, 2, 3], delay: 8_000 };
    expect(countCrash(before, 70_000, 60_000, 1_000)).toEqual({ recent: [70_000], delay: 1_000 });
  });
});

describe("ends", () => {
  test.each([
    [{ code: 0 }, "exited with code 0", 0],
    [{ code: 3 }, "exited with code 3", 3],
    [{ signal: "SIGTERM" }, "killed by SIGTERM", 143],
    [{ signal: "SIGINT" }, "killed by SIGINT", 130],
    [{ signal: "SIGKILL" }, "killed by SIGKILL", 137],
    [{ signal: "SIGSEGV" }, "killed by SIGSEGV", 139],
    [{ signal: "signal 64" }, "killed by signal 64", null],
  ])("%j: %s, code %p", (ended, words, code) => {
    expect([howEnded(ended), exitCodeOf(ended)]).toEqual([words, code]);
  });
});

describe("supervise", () => {
  test("five crashes: four restarts, then failed, and all output is in the log", async () => {
    await supervise(spec("echo out; echo err >&2; exit 3"), never);
    expect(state()).toMatchObject({
      state: "failed",
      restarts: 4,
      detail: "exited with code 3",
      main: null,
      hasRun: true,
    });
    expect(logged()).toBe("out\nerr\n".repeat(5));
  });

  test("an end with 0 counts like any other, and is the end of a job", async () => {
    await supervise(spec("echo once"), never);
    expect(state()).toMatchObject({ state: "failed", restarts: 4, detail: "exited with code 0" });
    await supervise(spec("echo once", { restartDelay: null }), never);
    expect(state()).toMatchObject({ state: "stopped", restarts: 0, detail: "exited with code 0" });
    expect(logged()).toBe("once\n".repeat(6));
  });

  test("what cannot be started at all has failed at once", async () => {
    await supervise(spec("exit 0", { folder: `${folder}/missing` }), never);
    expect(state()).toMatchObject({
      state: "failed",
      hasRun: false,
      restarts: 0,
      detail: expect.stringContaining("cannot be started"),
    });
  });

  test("asked to stop, it ends everything and says so", async () => {
    const asked = Promise.withResolvers<void>();
    const ended = supervise(spec("(setsid sleep 1001 &); sleep 1002"), asked.promise);
    await until("running", () => state()?.state === "running");
    const { main } = state()!;
    asked.resolve();
    await ended;
    expect(state()).toMatchObject({ state: "stopped", main: null, detail: "" });
    expect(isAlive(main!.pid, main!.startTime)).toBe(false);
  });

  test("asked to stop while it waits, it does not start again", async () => {
    const asked = Promise.withResolvers<void>();
    const ended = supervise(spec("echo once; exit 1", { restartDelay: 3_600_000 }), asked.promise);
    await until("waiting", () => state()?.state === "waiting");
    expect(state()).toMatchObject({ detail: "exited with code 1", main: null });
    asked.resolve();
    await ended;
    expect(state()?.state).toBe("stopped");
    expect(logged()).toBe("once\n");
  });

  test("a state that cannot be written does not end the app", async () => {
    const file = `${folder}/missing/state.json`;
    await supervise(spec("echo ran; exit 3", { state: file }), never);
    expect(logged()).toContain("ran\n");
    expect(existsSync(file)).toBe(false);
  });

  test("it imports neither schemas nor YAML, and stays small", async () => {
    const path = `${folder}/spec.json`;
    writeFileSync(path, JSON.stringify(spec("exec sleep 1000")));
    const argv = [
      process.execPath,
      "--no-env-file",
      "--config=/dev/null",
      "--no-install",
      join(import.meta.dir, "../../../lib/host/supervisor/supervisor.ts"),
      path,
    ];
    const supervisor = Bun.spawn(argv, {
      cwd: "/",
      env: { PATH: "/usr/bin:/bin" },
      stdio: ["ignore", "ignore", "ignore"],
    });
    await until("running", () => state()?.state === "running");
    const resident = Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${supervisor.pid}/status`, "utf8"))?.[1]);
    supervisor.kill("SIGTERM");
    expect(await supervisor.exited).toBe(0);
    expect(state()?.state).toBe("stopped");
    expect(resident).toBeLessThan(64 * 1024);
    const imported = await Bun.build({
      entrypoints: [argv[4]!],
      target: "bun",
      metafile: true,
      write: false,
    } as Bun.BuildConfig);
    const text = (await imported.outputs[0]!.text()).match(/^\/\/ .*\.ts$/gm) ?? [];
    expect(text.filter((line) => line.includes("node_modules"))).toEqual([]);
    expect(text.length).toBeGreaterThan(5);
  });
});
