// dp reconcile of several apps after a boot, cut short: the next one finds each app's process once, and it answers.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { filesOf, withApp } from "../bench/app.ts";
import { addCopy } from "../bench/status.ts";
import { tested } from "../support/installed.ts";
import { leaveAsAfterReboot } from "../support/reboot.ts";
import { pids, pidsWith, until, type Sandbox } from "../support/sandbox.ts";

const [APP, COPIES] = ["first", ["second", "third"]];
const APPS = [APP, ...COPIES];

let box: Sandbox;
let release = () => {};
let ended: Promise<void>;

beforeAll(async () => {
  const made = Promise.withResolvers<Sandbox>();
  const held = new Promise<void>((resolve) => (release = resolve));
  ended = withApp({ dp: tested() }, APP, [], async (own) => {
    made.resolve(own);
    await held;
  });
  box = await Promise.race([made.promise, ended.then(() => Promise.reject(new Error("no sandbox")))]);
  await box.release(filesOf(APP, "well"));
  for (const name of COPIES) {
    await addCopy(box, name);
    rmSync(at(name, "instances", `${box.link("current")}.port`));
  }
}, 120_000);

afterAll(async () => {
  release();
  await ended;
}, 120_000);

const at = (...parts: string[]) => join(box.base, "..", ...parts);
const portOf = (name: string) => /^port: (\d+)$/m.exec(readFileSync(at(name, "config.yml"), "utf8"))![1]!;
const guards = () => pidsWith(at()).filter((pid) => /\/instances\/[^/]+\.json\0?$/.test(file(pid, "cmdline")));
const shared = () => pidsWith("\0shared:").filter((pid) => file(pid, "environ").includes(join(box.root, "..")));

function file(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "latin1");
  } catch {
    return ""; // gone
  }
}

/** The processes that serve an app. */
const serving = (name: string) =>
  pids().filter(
    (pid) =>
      file(pid, "environ").includes(`DP_INSTANCE=${name}@`) &&
      file(pid, "environ").includes(box.root) &&
      file(pid, "cmdline").includes("server.py"),
  );

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // it has ended by itself
  }
}

/** Everything is killed, and the records are as a reboot leaves them. */
async function reboot(): Promise<void> {
  await box.cutPower();
  leaveAsAfterReboot(at());
}

const victims = {
  dp: ({ pid }: { pid: number }) => [pid],
  "the supervisor": () => shared(),
  "dp and the supervisor": ({ pid }: { pid: number }) => [pid, ...shared()],
  "all but the apps": ({ pid }: { pid: number }) => [pid, ...shared(), ...guards()],
};

for (const [who, of] of Object.entries(victims))
  test.each([0, 1, 2, 3])(
    `${who}, killed with %i apps begun`,
    async (begun) => {
      await reboot();
      const run = box.start([box.program, "reconcile"]);
      const count = () => APPS.filter((name) => serving(name).length > 0).length;
      await until("its time", () => (shared().length > 0 && count() >= begun) || null);
      for (const pid of of(run)) kill(pid);
      const { code } = await run.done;
      if (who === "the supervisor") expect(code).toBe(0);
      const next = await box.dp("reconcile");
      expect(next).toMatchObject({ code: 0 });
      // Whatever it was about to guard has a supervisor again.
      if (who === "the supervisor") expect(next.text).not.toContain("its own was gone");
      for (const name of APPS) {
        const response = await fetch(`http://127.0.0.1:${portOf(name)}/`, { keepalive: false });
        expect([name, response.ok, serving(name).length]).toEqual([name, true, 1]);
      }
      // Whoever still had something to do must not have started a second one.
      expect(await box.dp("reconcile")).toMatchObject({ code: 0 });
      expect(APPS.map((name) => serving(name).length)).toEqual([1, 1, 1]);
    },
    120_000,
  );
