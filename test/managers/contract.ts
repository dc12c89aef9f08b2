// What every manager keeps, checked with real processes. Called by the test of each manager.
import { afterEach, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { deployConfig } from "../support/configs.ts";
import { DpError } from "../../lib/errors.ts";
import { makeIo, silentLog, type Io } from "../../lib/host/io.ts";
import type { Instance, Manager } from "../../lib/contracts/manager.ts";
import { places } from "../../lib/paths.ts";
import { isAlive, startTime, userOf } from "../../lib/host/process/process.ts";
import { idsOf } from "../../lib/host/users.ts";
import { ODD_VALUES } from "../support/odd-values.ts";
import { pauseAfter } from "../support/pause.ts";
import type { InstanceName } from "../../lib/host/instance.ts";

/** A manager on a host where it works. */
export interface Subject {
  manager: Manager;
  /** The user of the instances; undefined: whoever runs the test. */
  user: string | undefined;
  /** Instances in containers: what a place outside is inside. Left out, an instance sees the machine as it is. */
  container?: {
    /** The part of the app's shared folder that its containers see as $SHARED. */
    shared: string;
    /** Makes the image of an instance, and gives it a port of its own. */
    prepare(instance: Instance): Promise<Instance>;
    /** Takes away what an instance is started from; answers what the error must name. */
    spoil(instance: Instance): Promise<string>;
    /** The folder that an instance starts in. */
    folder: string;
    /** Variables of the machine that an instance does not get. */
    hidden: readonly string[];
    /** The user of its main process. */
    uid: number;
    /** The engine knows no policy by which a container that exited with code 0 is started again. */
    staysDownAfterZero?: boolean;
  };
}

const DEADLINE = 30_000;
/** Of one test, which may wait that long more than once on a busy machine. */
const LIMIT = DEADLINE * 3;
const io = makeIo(silentLog);

/** Polls until `probe` answers something true, and answers that. Throws with `what` after half a minute. */
export async function until<T>(what: string, probe: () => T | Promise<T>): Promise<T> {
  const end = performance.now() + DEADLINE;
  for (;;) {
    const begun = performance.now();
    const answer = await probe();
    if (answer) return answer;
    if (performance.now() > end) throw new Error(`not within ${DEADLINE / 1000} s: ${what}`);
    await pauseAfter(begun);
  }
}

const random = () => Math.random().toString(36).slice(2, 8);

/** Apps with an empty release each, and their end: instances stopped, folders gone. */
export function workshop(subject: () => Subject) {
  const made: Instance[] = [];
  return {
    name: (suffix = "") => `t${random()}${suffix}`,
    /** A release of an app, set up with the manager and ready to start. */
    async instance(command: string, more: Partial<Instance> = {}): Promise<Instance> {
      const { manager, user, container } = subject();
      const { app = `t${random()}`, id = "1-aaaaaaa", stopTimeout = 5_000 } = more;
      const { base, releases, shared, home } = places(app);
      for (const folder of [`${releases}/${id}`, shared, home]) mkdirSync(folder, { recursive: true });
      const [uid, gid] = user === undefined ? [process.getuid!(), process.getgid!()] : await idsOf(user);
      for (const folder of [shared, home]) chownSync(folder, uid, gid);
      chmodSync(base, 0o755);
      await manager.setup({ app, base, user, stopTimeout }, io);
      const env = { PATH: "/usr/local/bin:/usr/bin:/bin", SHARED: shared, PORT: "4711", ...more.env };
      const config = deployConfig(`name: ${app}\ntype: python\nhealthCheck: /\n`);
      const told = { folder: `${releases}/${id}`, config, user, ...more, app, id, command, env, stopTimeout };
      const instance = (await container?.prepare(told)) ?? told;
      made.push(instance);
      return instance;
    },
    async clean(): Promise<void> {
      const { manager } = subject();
      for (const instance of made) {
        await manager.enable(instance.app, [], io);
        await manager.stop(instance, io);
        await manager.forget(instance, io);
      }
      // Only now: an app may have several instances.
      for (const { app } of made) rmSync(places(app).base, { recursive: true, force: true });
      made.length = 0;
    },
  };
}

/** The output so far, the last `lines` of it. */
export async function outputOf(manager: Manager, name: InstanceName, lines = 100): Promise<string[]> {
  const output: string[] = [];
  await manager.logs(name, { lines, follow: false, onLine: (line) => output.push(line) }, io);
  return output;
}

/** Registers the contract's tests. */
export function managerContract(subject: () => Subject): void {
  const shop = workshop(subject);
  const manager = () => subject().manager;
  const status = (name: InstanceName) => manager().status(name);
  const sharedOf = ({ app }: InstanceName) => join(places(app).shared, subject().container?.shared ?? "");
  /** Processes that an instance has besides those of its command. */
  const inits = () => (subject().container ? 1 : 0);
  const start = async (command: string, more: Partial<Instance> = {}) => {
    const instance = await shop.instance(command, more);
    await manager().start(instance, io);
    return instance;
  };
  afterEach(() => shop.clean(), LIMIT);

  test("can be used here", async () => {
    expect(await manager().unavailable()).toBeNull();
  });

  test("starts an instance: user, folder and environment are as told", async () => {
    const env = { ...ODD_VALUES, TMPDIR: "/tmp" };
    const before = Date.now();
    const instance = await start(
      'env -0 > "$SHARED/env.part" && mv "$SHARED/env.part" "$SHARED/env" && exec sleep 1000',
      { env },
    );
    const file = `${sharedOf(instance)}/env`;
    await until("the environment is written", () => existsSync(file));
    const seen = new Map(
      readFileSync(file, "utf8")
        .split("\0")
        .map((entry) => [entry.split("=", 1)[0]!, entry.slice(entry.indexOf("=") + 1)]),
    );
    const { container } = subject();
    for (const [name, value] of Object.entries(instance.env))
      if (!container?.hidden.includes(name)) expect([name, seen.get(name)]).toEqual([name, value]);
    const { state, pid, restarts, since, detail } = await status(instance);
    expect({ state, restarts, detail }).toEqual({ state: "running", restarts: 0, detail: "" });
    expect(readlinkSync(`/proc/${pid}/cwd`)).toBe(container?.folder ?? instance.folder);
    const own = instance.user === undefined ? process.getuid!() : (await idsOf(instance.user))[0];
    expect(userOf(pid!)).toBe(container?.uid ?? own);
    expect(Math.abs(Date.parse(since!) - before)).toBeLessThan(DEADLINE);
  });

  test("one simple command is the main process itself: no shell stays", async () => {
    const instance = await start("sleep 1000");
    const { pid } = await status(instance);
    // In a container an init is the first process, and the command its only child.
    const own = async () => (await manager().pids(instance)).filter((one) => !subject().container || one !== pid);
    await until("sh has become sleep", async () => {
      const [main] = await own();
      return main !== undefined && readFileSync(`/proc/${main}/comm`, "utf8") === "sleep\n";
    });
    expect((await own()).length).toBe(1);
    if (!subject().container) expect(await own()).toEqual([pid!]);
  });

  test("stop ends everything that the instance started, and can be repeated", async () => {
    const instance = await start("(setsid sleep 1001 &); sleep 1002 & exec sleep 1003");
    const pids = await until("three processes", async () => {
      const found = await manager().pids(instance);
      return found.length === 3 + inits() && found;
    });
    const known = (pids as number[]).map((pid) => ({ pid, startTime: startTime(pid)! }));
    await manager().stop(instance, io);
    expect(known.filter(({ pid, startTime }) => isAlive(pid, startTime))).toEqual([]);
    expect(await manager().pids(instance)).toEqual([]);
    await manager().stop(instance, io);
    expect(await status(instance)).toMatchObject({ state: "stopped", pid: null, since: null });
  });

  test("an instance that was never started is stopped", async () => {
    const instance = await shop.instance("sleep 1000");
    expect(await status(instance)).toEqual({ state: "stopped", pid: null, restarts: 0, since: null, detail: "" });
    expect(await manager().pids(instance)).toEqual([]);
    await manager().stop(instance, io);
  });

  test("a process that ignores SIGTERM is killed after stopTimeout", async () => {
    const script = 'trap "echo asked" TERM; echo ready; while :; do sleep 0.05; done';
    const instance = await start(script, { stopTimeout: 1500 });
    await until("the trap is set", async () => (await outputOf(manager(), instance)).includes("ready"));
    const begun = performance.now();
    await manager().stop(instance, io);
    expect(performance.now() - begun).toBeGreaterThan(500);
    expect(await manager().pids(instance)).toEqual([]);
    expect(await outputOf(manager(), instance)).toContain("asked");
  });

  test(
    "a crash is followed by a restart, and counted",
    async () => {
      const instance = await start("sleep 1000");
      const { pid: first } = await status(instance);
      process.kill(first!, "SIGKILL");
      const again = await until("running again", async () => {
        const now = await status(instance);
        return now.state === "running" && now.pid !== first && now;
      });
      expect(again).toMatchObject({ restarts: 1, detail: "" });
      expect(await manager().instances(instance.app)).toEqual([instance.id]);
    },
    LIMIT,
  );

  test(
    "what a crash left behind is gone before the restart",
    async () => {
      const instance = await start("(setsid sleep 1001 &); exec sleep 1002");
      await until("two processes", async () => (await manager().pids(instance)).length === 2 + inits());
      const before = await manager().pids(instance);
      process.kill((await status(instance)).pid!, "SIGKILL");
      await until(
        "running again",
        async () => (await status(instance)).restarts === 1 && (await manager().pids(instance)).length === 2 + inits(),
      );
      expect((await manager().pids(instance)).filter((pid) => before.includes(pid))).toEqual([]);
    },
    LIMIT,
  );

  test.each([
    ["echo last words; exit 3", "exited with code 3"],
    ["echo last words; kill -9 $$", "killed by SIGKILL"],
  ])(
    "%s: failed, with its end and its last words; a start begins afresh",
    async (command, detail) => {
      const instance = await start(command);
      const failed = await until("failed", async () => {
        const now = await status(instance);
        return now.state === "failed" && now;
      });
      expect(failed).toMatchObject({ state: "failed", pid: null, since: null, detail });
      expect(await outputOf(manager(), instance)).toContain("last words");
      expect(await manager().instances(instance.app)).toEqual([instance.id]);
      await manager().start({ ...instance, command: "sleep 1000" }, io);
      expect(await status(instance)).toMatchObject({ state: "running", restarts: 0, detail: "" });
      await manager().stop(instance, io);
      expect(await manager().instances(instance.app)).toEqual([]);
    },
    LIMIT,
  );

  test.each([
    ["with 0", "trap 'exit 0' USR1; while :; do sleep 0.05; done", "SIGUSR1"],
    ["by somebody else's SIGTERM", "trap 'trap - TERM; kill -TERM $$' TERM; while :; do sleep 0.05; done", "SIGTERM"],
  ] as const)(
    "a live app that ends %s is started again: nobody asked dp for it",
    async (_, command, signal) => {
      const instance = await start(command);
      await manager().enable(instance.app, [instance.id], io);
      const first = await until("the main process", async () => (await status(instance)).pid);
      process.kill(first!, signal);
      const stays = signal === "SIGUSR1" && subject().container?.staysDownAfterZero === true;
      await until(stays ? "stopped" : "running again", async () => {
        const now = await status(instance);
        if (stays) return now.state === "stopped";
        return now.state === "running" && now.pid !== first && now.restarts === 1;
      });
    },
    LIMIT,
  );

  test("start of an instance that runs replaces it", async () => {
    const instance = await start("sleep 1000");
    const { pid: first } = await status(instance);
    const known = startTime(first!)!;
    await manager().start({ ...instance, command: "sleep 1001" }, io);
    const now = await status(instance);
    expect(now).toMatchObject({ state: "running", restarts: 0 });
    expect(now.pid).not.toBe(first);
    expect(isAlive(first!, known)).toBe(false);
  });

  test(
    "start says why it cannot: the folder, or the image, is missing",
    async () => {
      const instance = await shop.instance("sleep 1000");
      const missing = (await subject().container?.spoil(instance)) ?? instance.folder;
      if (!subject().container) rmSync(instance.folder, { recursive: true });
      const error = await manager()
        .start(instance, io)
        .catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(DpError);
      expect(error).toMatchObject({ exit: "command", message: expect.stringContaining(missing) });
      expect((await status(instance)).state).not.toBe("running");
    },
    LIMIT,
  );

  test.skipIf(process.getuid!() !== 0)(
    "start says why it cannot: there is no such user",
    async () => {
      if (subject().container) return; // its user is the image's
      const instance = await shop.instance("sleep 1000");
      const error = await manager()
        .start({ ...instance, user: "dp-nobody-of-that-name" }, io)
        .catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(DpError);
      expect(error).toMatchObject({ message: expect.stringContaining("dp-nobody-of-that-name") });
      expect((await status(instance)).state).not.toBe("running");
    },
    LIMIT,
  );

  test(
    "apps and releases are kept apart, whatever their names begin with",
    async () => {
      const app = shop.name();
      const names = [
        [app, "2-bbbbbbb"],
        [app, "12-aaaaaaa"],
        [`${app}bar`, "2-bbbbbbb"],
        [`${app}-bar`, "3-ccccccc"],
      ] as const;
      for (const [name, id] of names) await start("sleep 1000", { app: name, id });
      expect(await manager().instances(app)).toEqual(["2-bbbbbbb", "12-aaaaaaa"]);
      expect(await manager().instances(`${app}bar`)).toEqual(["2-bbbbbbb"]);
      await manager().stop({ app, id: "2-bbbbbbb" }, io);
      expect(await manager().instances(app)).toEqual(["12-aaaaaaa"]);
      expect((await status({ app: `${app}bar`, id: "2-bbbbbbb" })).state).toBe("running");
      expect((await status({ app: `${app}-bar`, id: "3-ccccccc" })).state).toBe("running");
      expect(await manager().instances("nosuchapp")).toEqual([]);
    },
    LIMIT,
  );

  test(
    "a release's processes are instances of their own, each with its folder, environment and log",
    async () => {
      const { app, id } = await start("echo web; exec sleep 1000");
      const { base, releases } = places(app);
      const of = { app, folder: `${releases}/${id}` };
      const worker = { ...of, id: `${id}.worker.2`, env: { DP_PROCESS: "worker.2" } };
      const instance = await start('echo "$DP_PROCESS in $PWD"; exec sleep 1000', worker);
      await start("echo other; exec sleep 1000", { ...of, id: `${id}.worker.10` });
      const line = `worker.2 in ${subject().container?.folder ?? `${base}/releases/${id}`}`;
      await until("its words", async () => (await outputOf(manager(), instance)).includes(line));
      expect(await outputOf(manager(), { app, id })).toEqual(["web"]);
      expect(await manager().instances(app)).toEqual([id, `${id}.worker.2`, `${id}.worker.10`]);
      const { pid: web } = await status({ app, id });
      expect((await manager().pids({ app, id })).length).toBe(1 + inits());
      await manager().stop(instance, io);
      expect(await manager().instances(app)).toEqual([id, `${id}.worker.10`]);
      expect((await status({ app, id })).pid).toBe(web);
      await manager().stop({ app, id }, io);
      expect(await manager().instances(app)).toEqual([`${id}.worker.10`]);
    },
    LIMIT,
  );

  test.each([
    ["echo done", { state: "stopped", detail: "" }],
    ["echo done; exit 3", { state: "failed", detail: "exited with code 3", ended: { code: 3 } }],
    ["echo done; kill -9 $$", { state: "failed", detail: "killed by SIGKILL", ended: { signal: "SIGKILL" } }],
  ])(
    "a job, %s: runs once and to its end",
    async (command, expected) => {
      const before = await shop.instance("true");
      const job = await start(`echo x >> "$SHARED/runs"; ${command}`, {
        ...{ app: before.app, folder: before.folder, id: `${before.id}.cron.job` },
      });
      const ended = await until("its end", async () => {
        const now = await status(job);
        return now.state !== "running" && now;
      });
      expect(ended).toMatchObject({ ...(expected.state === "failed" ? expected : { state: "stopped" }), pid: null });
      expect(readFileSync(join(sharedOf(job), "runs"), "utf8")).toBe("x\n");
      expect(await outputOf(manager(), job)).toContain("done");
      await manager().stop(job, io);
      expect(await manager().instances(job.app)).toEqual([]);
    },
    LIMIT,
  );

  test(
    "a job that was told to stop has not done its work",
    async () => {
      const before = await shop.instance("true");
      const job = await start("echo begun; sleep 1000; echo more", {
        ...{ app: before.app, folder: before.folder, id: `${before.id}.cron.job` },
      });
      await until("it has begun", async () => (await outputOf(manager(), job)).includes("begun"));
      const { pid: main } = await status(job);
      const others = (await manager().pids(job)).filter((pid) => pid !== main);
      // Its shell first: it would go on when what it waits for has ended.
      for (const pid of [main!, ...others]) if (isAlive(pid)) process.kill(pid, "SIGTERM");
      await until("its end", async () => (await status(job)).state !== "running");
      expect((await status(job)).state).toBe("failed");
    },
    LIMIT,
  );

  test(
    "enables exactly what is named, and says whether that was a change",
    async () => {
      const { app, id } = await start("sleep 1000");
      const { id: next } = await start("sleep 1000", { app, id: "2-bbbbbbb" });
      await start("sleep 1000", { app, id: `${next}.worker.2`, folder: `${places(app).releases}/${next}` });
      const changes = [];
      for (const wanted of [[id], [id], [next, `${next}.worker.2`], [next, `${next}.worker.2`], [next], [], []]) {
        changes.push(await manager().enable(app, wanted, io));
        expect((await manager().enabled(app)).toSorted()).toEqual(wanted);
      }
      expect(changes).toEqual([true, false, true, false, true, true, false]);
    },
    LIMIT,
  );

  test("logs: the last lines, in order", async () => {
    // An engine keeps no order between the two outputs of a container.
    const last = subject().container ? "echo end" : "echo end >&2";
    const instance = await start(
      `i=0; while [ $i -lt 30 ]; do i=$((i+1)); echo "grüße $i"; done; ${last}; exec sleep 1000`,
    );
    await until("all is written", async () => (await outputOf(manager(), instance, 1))[0] === "end");
    expect(await outputOf(manager(), instance, 3)).toEqual(["grüße 29", "grüße 30", "end"]);
    expect((await outputOf(manager(), instance, 1000)).length).toBe(31);
  });

  test(
    "logs: follow shows new lines as they come, until it is aborted",
    async () => {
      const script =
        'echo first; echo second; while [ ! -e "$SHARED/go" ]; do sleep 0.05; done; echo third; exec sleep 1000';
      const instance = await start(script);
      await until("two lines", async () => (await outputOf(manager(), instance)).length === 2);
      const abort = new AbortController();
      const lines: string[] = [];
      const following: Io = makeIo(silentLog, abort.signal);
      const ended = manager().logs(instance, { lines: 1, follow: true, onLine: (line) => lines.push(line) }, following);
      await until("the last line so far", () => lines.length > 0);
      writeFileSync(`${sharedOf(instance)}/go`, "");
      await until("the new line", () => lines.includes("third"));
      expect(lines).toEqual(["second", "third"]);
      abort.abort();
      await ended;
    },
    LIMIT,
  );

  test("forget removes what start kept, the environment with it", async () => {
    const instance = await start("sleep 1000", { env: { SECRET: "do not keep me" } });
    await manager().stop(instance, io);
    await manager().forget(instance, io);
    await manager().forget(instance, io);
    const { instances } = places(instance.app);
    expect(existsSync(instances) ? readdirSync(instances).filter((name) => name.startsWith(instance.id)) : []).toEqual(
      [],
    );
    expect((await status(instance)).state).toBe("stopped");
  });

  test("nobody but dp and the app's user can read what is kept of the environment", async () => {
    const instance = await start("sleep 1000", { env: { SECRET: "for one pair of eyes" } });
    const { instances } = places(instance.app);
    const kept = existsSync(instances) ? readdirSync(instances) : [];
    const open = kept.filter(
      (name) => Bun.spawnSync(["find", `${instances}/${name}`, "!", "-type", "l", "-perm", "/007"]).stdout.length > 0,
    );
    expect(open).toEqual([]);
  });
}
