import { afterEach, describe, expect, test } from "bun:test";
import type { InstanceName } from "../../lib/host/instance.ts";
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { makeIo, silentLog } from "../../lib/host/io.ts";
import builtin, { enabledFile, makeBuiltin } from "../../lib/managers/builtin.ts";
import { places } from "../../lib/paths.ts";
import { argumentsOf, bootId, isAlive, processEntry, processName, startTime } from "../../lib/host/process/process.ts";
import { allPids } from "../../lib/host/process/proc.ts";
import { filesOf, readRecord, supervisorsOf, type Spec, type State } from "../../lib/host/supervisor/supervision.ts";
import { managerContract, outputOf, until, workshop } from "./contract.ts";
import { ownRoot } from "../support/own-root.ts";

const io = makeIo(silentLog);
const quick = makeBuiltin(20);
// An account of every Linux whose group has its name, as the users of apps have.
const user = process.getuid!() === 0 ? "daemon" : undefined;
const folder = ownRoot("dp-builtin-");

describe("the contract", () => managerContract(() => ({ manager: quick, user })));

describe("builtin", () => {
  const shop = workshop(() => ({ manager: quick, user }));
  afterEach(() => shop.clean());

  test("the supervisor has left the session of its starter and nothing of its environment", async () => {
    const instance = await shop.instance("sleep 1000");
    await quick.start(instance, io);
    const [supervisor] = supervisorsOf(filesOf(instance).spec);
    expect(processEntry(supervisor!)!.session).toBe(supervisor!);
    const names = readFileSync(`/proc/${supervisor}/environ`, "utf8")
      .split("\0")
      .map((entry) => entry.split("=")[0]);
    expect(names.filter((name) => !["PATH", "HOME", "LANG", "LC_ALL", "TZ", ""].includes(name!))).toEqual([]);
    expect(argumentsOf(supervisor!)).toContain("--config=/dev/null");
  });

  test("an instance outlives the program that started it", async () => {
    const instance = await shop.instance("sleep 1000");
    const script = `
      import { makeIo, silentLog } from "${resolve("lib/host/io.ts")}";
      import builtin from "${resolve("lib/managers/builtin.ts")}";
      await builtin.start(JSON.parse(process.argv[1]), makeIo(silentLog));
      process.kill(process.pid, "SIGKILL");
    `;
    const starter = Bun.spawnSync([process.execPath, "-e", script, JSON.stringify(instance)], { env: process.env });
    expect(starter.signalCode as string).toBe("SIGKILL");
    const { state, pid } = await quick.status(instance);
    expect(state).toBe("running");
    process.kill(pid!, "SIGKILL");
    await until("started again", async () => (await quick.status(instance)).restarts === 1);
  }, 30_000);

  /** Kills the supervisor of an instance alone, as the kernel does for want of memory; answers its pid. */
  const killSupervisor = (instance: InstanceName): number => {
    const own = supervisorsOf(filesOf(instance).spec).filter((pid) => argumentsOf(pid)[0] !== "/bin/sh");
    expect(own.length).toBe(1);
    process.kill(own[0]!, "SIGKILL");
    return own[0]!;
  };
  const isWatched = (instance: InstanceName, not: number) => async () => {
    const state = await readRecord<State>(filesOf(instance).state);
    return state !== null && state.supervisor.pid !== not && isAlive(state.supervisor.pid) && state;
  };

  test("a supervisor that was got ready is the one that starts the app, and is followed by another when it is killed", async () => {
    const instance = await shop.instance("sleep 1000");
    const { spec } = filesOf(instance);
    quick.prepare!(instance);
    // Until it is a program of its own it has no name yet.
    await until("a supervisor", () => supervisorsOf(spec).length > 0);
    const ready = supervisorsOf(spec);
    expect(await quick.pids(instance)).toEqual([]);
    expect((await quick.status(instance)).state).toBe("stopped");
    await quick.start(instance, io);
    const state = (await readRecord<State>(filesOf(instance).state))!;
    expect(ready).toContain(processEntry(state.supervisor.pid)!.parent);
    const first = killSupervisor(instance);
    await until("another supervisor", isWatched(instance, first));
    expect((await quick.status(instance)).pid).toBe(state.main!.pid);
  });

  test("one that was got ready and ended meanwhile is no loss", async () => {
    const instance = await shop.instance("sleep 1000");
    quick.prepare!(instance);
    await until("a supervisor", () => supervisorsOf(filesOf(instance).spec).length > 0);
    await until("no supervisor", () => {
      const found = supervisorsOf(filesOf(instance).spec);
      for (const pid of found) process.kill(pid, "SIGKILL");
      return found.length === 0;
    });
    await quick.start(instance, io);
    expect((await quick.status(instance)).state).toBe("running");
  });

  test("none is got ready for an instance that is there: its start would end it", async () => {
    const instance = await shop.instance("sleep 1000");
    await quick.start(instance, io);
    const children = () => allPids().filter((pid) => processEntry(pid)?.parent === process.pid);
    const before = children();
    quick.prepare!(instance);
    expect(children()).toEqual(before);
    await quick.start(instance, io);
    expect((await quick.status(instance)).state).toBe("running");
  });

  test("one that was got ready ends with whoever did not start the app", async () => {
    const instance = await shop.instance("sleep 1000");
    const script = `
      import builtin from "${resolve("lib/managers/builtin.ts")}";
      builtin.prepare(JSON.parse(process.argv[1]));
      process.kill(process.pid, "SIGKILL");
    `;
    const starter = Bun.spawnSync([process.execPath, "-e", script, JSON.stringify(instance)], { env: process.env });
    expect(starter.signalCode as string).toBe("SIGKILL");
    await until("no supervisor", () => supervisorsOf(filesOf(instance).spec).length === 0);
    expect((await quick.status(instance)).state).toBe("stopped");
  });

  /** One that is about to end has no arguments any more, and still counts as one that runs. */
  async function killSupervisors(instance: InstanceName): Promise<void> {
    const found = supervisorsOf(filesOf(instance).spec);
    for (const pid of found) process.kill(pid, "SIGKILL");
    await until("no supervisor", () => !found.some((pid) => isAlive(pid)));
  }

  // Each begins with a supervisor that was killed while its app runs on.
  const orphaned = async () => {
    const instance = await shop.instance("(setsid sleep 1001 &); exec sleep 1002");
    await quick.start(instance, io);
    const pids = await until("two processes", async () => {
      const found = await quick.pids(instance);
      // Not a shell that is about to become one of them.
      return found.length === 2 && found.every((pid) => processName(pid) === "sleep") && found;
    });
    const known = (pids as number[]).map((pid) => ({ pid, startTime: startTime(pid)! }));
    await killSupervisors(instance);
    return { instance, known };
  };
  const left = (known: { pid: number; startTime: number }[]) =>
    known.filter(({ pid, startTime }) => isAlive(pid, startTime));

  test("an app that prints all the time outlives its supervisor, and no line is lost", async () => {
    const instance = await shop.instance(`exec python3 -u -c '
import time
for number in range(100000):
    print("line", number)
    time.sleep(0.001)'`);
    await quick.start(instance, io);
    const { pid } = await quick.status(instance);
    const first = killSupervisor(instance);
    const state = await until("another supervisor", isWatched(instance, first));
    expect(await quick.status(instance)).toMatchObject({ state: "running", pid, restarts: 0, detail: "" });
    expect((state as State).main!.pid).toBe(pid!);
    const printed = async () => {
      const lines: [string, string | null | undefined][] = [];
      const onLine = (line: string, time?: string | null) => void lines.push([line, time]);
      await quick.logs(instance, { lines: 100_000, follow: false, onLine }, io);
      return lines;
    };
    const before = (await printed()).length;
    const lines = await until("more lines", async () => (await printed()).length > before + 100 && printed());
    expect((lines as [string, string][]).every(([, time]) => !Number.isNaN(Date.parse(time)))).toBe(true);
    // What the killed one had read of a line and not yet written is all that may be gone.
    const numbers = new Set((lines as [string, string][]).map(([line]) => line));
    const missing = Array.from({ length: numbers.size - 1 }, (_, number) => `line ${number}`);
    expect(missing.filter((line) => !numbers.has(line)).length).toBeLessThanOrEqual(2);
    process.kill(pid!, "SIGKILL");
    await until("started again", async () => (await quick.status(instance)).restarts === 1);
    expect((await quick.status(instance)).state).toBe("running");
    await quick.stop(instance, io);
    expect([supervisorsOf(filesOf(instance).spec), await quick.pids(instance)]).toEqual([[], []]);
  }, 60_000);

  test("even with nobody left to read it, an app goes on printing what its pipe takes, and can be stopped", async () => {
    const instance = await shop.instance("while sleep 0.01; do echo line; done");
    await quick.start(instance, io);
    const { pid } = await quick.status(instance);
    await killSupervisors(instance);
    const waits = () =>
      Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]);
    const switches = waits();
    await until("ten more lines", () => waits() > switches + 20);
    expect(await quick.status(instance)).toMatchObject({ state: "running", pid });
    await quick.stop(instance, io);
    expect(await quick.pids(instance)).toEqual([]);
  });

  test("an app that stands still because nobody reads it goes on when it is adopted, and no line is lost", async () => {
    const instance = await shop.instance(`exec python3 -u -c '
import time
for number in range(100000):
    print("line", number, "x" * 200)
    time.sleep(0.0001)'`);
    await quick.start(instance, io);
    const { pid } = await quick.status(instance);
    expect(await quick.adopt!(instance, io)).toBe(false);
    for (const supervisor of supervisorsOf(filesOf(instance).spec)) process.kill(supervisor, "SIGKILL");
    await until("a full pipe", () => readFileSync(`/proc/${pid}/wchan`, "utf8").includes("pipe_write"));
    expect(await quick.status(instance)).toMatchObject({ state: "running", isOrphan: true });
    const lines = async () => outputOf(quick, instance, 100_000);
    const before = (await lines()).length;
    expect(await Promise.all([quick.adopt!(instance, io), quick.pids(instance)])).toEqual([true, [pid!]]);
    expect(await quick.adopt!(instance, io)).toBe(false);
    expect(await quick.status(instance)).toMatchObject({ state: "running", pid, restarts: 0, detail: "" });
    await until("more than the pipe held", async () => (await lines()).length > before + 1_000);
    const numbers = (await lines()).map((line) => Number(/^line (\d+) x{200}$/.exec(line)?.[1]));
    // Of what the killed one had read and not yet written one chunk may be gone, with the beginning of a line.
    const whole = numbers.filter((number) => !Number.isNaN(number));
    const gaps = whole.slice(1).filter((number, index) => number !== whole[index]! + 1);
    expect([numbers.length - whole.length, gaps.length].every((count) => count <= 1)).toBe(true);
    process.kill(pid!, "SIGKILL");
    await until("started again", async () => (await quick.status(instance)).restarts === 1);
    await quick.stop(instance, io);
    expect([supervisorsOf(filesOf(instance).spec), await quick.pids(instance)]).toEqual([[], []]);
  }, 60_000);

  test("an app that ended while its supervisor was being replaced is started again", async () => {
    const instance = await shop.instance("sleep 1000");
    await quick.start(instance, io);
    const { pid } = await quick.status(instance);
    const first = killSupervisor(instance);
    process.kill(pid!, "SIGKILL");
    await until("another supervisor", isWatched(instance, first));
    await until("started again", async () => {
      const now = await quick.status(instance);
      return now.state === "running" && now.restarts === 1 && now.pid !== pid;
    });
  });

  test("a job whose end nobody saw has failed, and is not run again", async () => {
    const instance = await shop.instance("sleep 1000", { id: "1-aaaaaaa.cron.report" });
    await quick.start(instance, io);
    const { pid } = await quick.status(instance);
    const first = killSupervisor(instance);
    await until("another supervisor", isWatched(instance, first));
    process.kill(pid!, "SIGKILL");
    await until("its end", async () => (await quick.status(instance)).state === "failed");
    expect(await quick.status(instance)).toMatchObject({ detail: "ended unobserved", restarts: 0 });
  });

  test("a killed supervisor: status finds the app and says what is wrong", async () => {
    const { instance } = await orphaned();
    expect(await quick.status(instance)).toMatchObject({
      state: "running",
      detail: expect.stringContaining("supervisor was killed"),
    });
    expect(await quick.instances(instance.app)).toEqual([instance.id]);
    expect((await quick.pids(instance)).length).toBe(2);
  });

  test("a killed supervisor: stop ends the app", async () => {
    const { instance, known } = await orphaned();
    await quick.stop(instance, io);
    expect(left(known)).toEqual([]);
    expect((await quick.status(instance)).state).toBe("stopped");
  });

  test("a killed supervisor: start replaces the app", async () => {
    const { instance, known } = await orphaned();
    await quick.start(instance, io);
    expect(left(known)).toEqual([]);
    expect(await quick.status(instance)).toMatchObject({ state: "running", detail: "" });
  });

  test("a killed supervisor whose app is gone too is a failure", async () => {
    const { instance, known } = await orphaned();
    for (const { pid } of known) process.kill(pid, "SIGKILL");
    await until("both gone", () => left(known).length === 0);
    expect(await quick.status(instance)).toMatchObject({
      state: "failed",
      pid: null,
      detail: "its supervisor was killed",
    });
    expect(await quick.instances(instance.app)).toEqual([instance.id]);
  });

  test("lost records: stop still finds the supervisor and the app", async () => {
    const instance = await shop.instance("(setsid sleep 1001 &); exec sleep 1002");
    await quick.start(instance, io);
    await until("two processes", async () => {
      const found = await quick.pids(instance);
      return found.length === 2 && found.every((pid) => processName(pid) === "sleep");
    });
    const known = (await quick.pids(instance)).map((pid) => ({ pid, startTime: startTime(pid)! }));
    const files = filesOf(instance);
    await Bun.write(files.state, "{ torn");
    await quick.stop(instance, io);
    expect(left(known)).toEqual([]);
    expect(supervisorsOf(files.spec)).toEqual([]);
  });

  test("a state of another boot means nothing: the numbers in it are other processes now", async () => {
    const instance = await shop.instance("sleep 1000");
    await quick.start(instance, io);
    await quick.stop(instance, io);
    const { state: file } = filesOf(instance);
    const state = (await readRecord<State>(file))!;
    const bystander = Bun.spawn(["sleep", "1000"], { detached: true });
    const main = { pid: bystander.pid, startTime: startTime(bystander.pid)! };
    await Bun.write(file, JSON.stringify({ ...state, state: "running", main, supervisor: main, boot: "before" }));
    try {
      expect(await quick.status(instance)).toMatchObject({ state: "stopped", pid: null });
      await quick.stop(instance, io);
      expect(bystander.exitCode).toBeNull();
      expect(isAlive(main.pid, main.startTime)).toBe(true);
    } finally {
      bystander.kill("SIGKILL");
      await bystander.exited;
    }
  });

  test("a spec of another boot is believed: no process is read, and none is ended", async () => {
    const instance = await shop.instance("sleep 1000");
    await quick.start(instance, io);
    const { spec, state } = filesOf(instance);
    const [began, ran] = [(await readRecord<Spec>(spec))!, (await readRecord<State>(state))!];
    expect(began.boot).toBe(ran.boot);
    await Bun.write(spec, JSON.stringify({ ...began, boot: "before" }));
    await Bun.write(state, JSON.stringify({ ...ran, boot: "before" }));
    await quick.stop(instance, io);
    expect(await readRecord<State>(state)).toMatchObject({ state: "stopped", main: null });
    expect(isAlive(ran.main!.pid, ran.main!.startTime)).toBe(true);
    await Bun.write(spec, JSON.stringify(began));
    await quick.stop(instance, io);
    expect(isAlive(ran.main!.pid, ran.main!.startTime)).toBe(false);
  });

  const ofBefore = (text: string) => text.replace(bootId(), bootId().replaceAll(/\w/g, "0"));
  test.each([
    ["as it was", ofBefore, {}, true],
    ["too short for the new one", ofBefore, { NEW: "yes" }, false],
    ["half written", (text: string) => text.slice(0, 40), {}, false],
  ] as const)("a spec of another boot, %s, gives way to the new one", async (_, left, more, isInPlace) => {
    const instance = await shop.instance("sleep 1000");
    await quick.start(instance, io);
    await quick.stop(instance, io);
    const { spec } = filesOf(instance);
    writeFileSync(spec, left(readFileSync(spec, "utf8")));
    const { ino } = statSync(spec);
    await quick.start({ ...instance, env: { ...instance.env, ...more } }, io);
    expect(await readRecord<Spec>(spec)).toMatchObject({ env: { PORT: "4711", ...more }, boot: bootId() });
    expect([statSync(spec).ino === ino, statSync(spec).mode & 0o777]).toEqual([isInPlace, 0o600]);
    expect((await quick.status(instance)).state).toBe("running");
    // What is in use is never written over.
    const { ino: now } = statSync(spec);
    await quick.start(instance, io);
    expect(statSync(spec).ino).not.toBe(now);
  });

  test("a number that another process has now is not the instance", async () => {
    const instance = await shop.instance("sleep 1000");
    await quick.start(instance, io);
    await quick.stop(instance, io);
    const { state: file } = filesOf(instance);
    const state = (await readRecord<State>(file))!;
    const bystander = Bun.spawn(["sleep", "1000"], { detached: true });
    const main = { pid: bystander.pid, startTime: startTime(bystander.pid)! - 1 };
    await Bun.write(file, JSON.stringify({ ...state, state: "running", main, supervisor: main }));
    try {
      expect(await quick.status(instance)).toMatchObject({ state: "failed", pid: null });
      expect(await quick.pids(instance)).toEqual([]);
      await quick.stop(instance, io);
      expect(isAlive(bystander.pid)).toBe(true);
    } finally {
      bystander.kill("SIGKILL");
      await bystander.exited;
    }
  });

  test.skipIf(user === undefined)(
    "a program of the release never runs as root on the way to the app's user",
    async () => {
      const bin = `${folder()}/evil`;
      await Bun.write(`${bin}/setpriv`, `#!/bin/sh\nid -u > ${folder()}/evil/ran\nexit 1\n`);
      chmodSync(`${bin}/setpriv`, 0o755);
      const instance = await shop.instance("sleep 1000", {
        env: { PATH: `${bin}:/usr/bin:/bin`, LD_PRELOAD: `${bin}/none.so` },
      });
      await quick.start(instance, io);
      await until(
        "sleep runs",
        async () => readFileSync(`/proc/${(await quick.status(instance)).pid}/comm`, "utf8") === "sleep\n",
      );
      expect(readdirSync(bin)).toEqual(["setpriv"]);
      const log = readFileSync(filesOf(instance).log, "utf8");
      // Only the app's own exec meets the loader's variable, never setpriv or sh, which root starts.
      expect(log).not.toContain("setpriv");
      const environ = readFileSync(`/proc/${(await quick.status(instance)).pid}/environ`, "utf8").split("\0");
      expect(environ).toContain(`LD_PRELOAD=${bin}/none.so`);
    },
  );

  test("the instance for the next boot is kept in a file", async () => {
    const { app, id } = await shop.instance("sleep 1000");
    await quick.enable(app, [id], io);
    expect(readFileSync(enabledFile(app), "utf8")).toBe(`${id}\n`);
    await quick.forget({ app, id }, io);
    expect(readFileSync(enabledFile(app), "utf8")).toBe(`${id}\n`);
  });

  test("a name that is no release never becomes a path", async () => {
    const { app } = await shop.instance("sleep 1000");
    await expect(quick.status({ app, id: "../../etc/1-aaaaaaa" })).rejects.toThrow("is not the name of an instance");
    await expect(quick.status({ app: "../x", id: "1-aaaaaaa" })).rejects.toThrow("app name");
  });

  test("it is the entry of its folder", () => {
    expect(builtin.name).toBe("builtin");
    expect(places("demo").base).toBe(`${folder()}/opt/deployments/demo`);
  });
});
