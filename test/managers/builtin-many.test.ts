// A supervisor of many instances, as after a boot: each keeps what it has with a supervisor of its own.
import { afterEach, describe, expect, test } from "bun:test";
import {
  closeSync,
  copyFileSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { resolve } from "node:path";
import type { InstanceName } from "../../lib/host/instance.ts";
import { makeIo, silentLog } from "../../lib/host/io.ts";
import { argumentsOf, isAlive, processEntry, startTime } from "../../lib/host/process/process.ts";
import { sharedSupervisor, supervisor } from "../../lib/host/self.ts";
import { GUARD_ALL, orderOf, withdraw, type Order } from "../../lib/host/supervisor/order.ts";
import { spawnSuccessor } from "../../lib/host/supervisor/starter.ts";
import { filesOf, readRecord, supervisorsOf, type Spec, type State } from "../../lib/host/supervisor/supervision.ts";
import { supervise } from "../../lib/host/supervisor/supervisor.ts";
import { makeBuiltin } from "../../lib/managers/builtin.ts";
import { managerContract, outputOf, until, workshop } from "./contract.ts";
import { ownRoot } from "../support/own-root.ts";

const io = makeIo(silentLog);
const quick = makeBuiltin(20);
void quick.expectMany!("none");
const user = process.getuid!() === 0 ? "daemon" : undefined;
const folder = ownRoot("dp-many-");

describe("the contract", () => managerContract(() => ({ manager: quick, user })));

const shop = workshop(() => ({ manager: quick, user }));
afterEach(() => shop.clean());

const specOf = (name: InstanceName) => filesOf(name).spec;
const stateOf = async (name: InstanceName) => (await readRecord<State>(filesOf(name).state))!;
/** The process that supervises an instance. */
const supervisorOf = async (name: InstanceName) => (await stateOf(name)).supervisor.pid;
/** Kills the guards of an instance. */
const killGuards = (name: InstanceName) => {
  const found = supervisorsOf(specOf(name));
  for (const pid of found) process.kill(pid, "SIGKILL");
  return found;
};
const isSupervised = (name: InstanceName, by: (pid: number) => boolean) => async () => {
  const { supervisor } = await stateOf(name);
  return isAlive(supervisor.pid, supervisor.startTime) && by(supervisor.pid);
};
async function started(...commands: string[]) {
  const all = [];
  for (const command of commands) {
    const instance = await shop.instance(command);
    await quick.start(instance, io);
    all.push(instance);
  }
  return all;
}

test("several have one supervisor, and each a guard in a session of its own that has nothing of its starter", async () => {
  const [one, other] = await started("sleep 1000", "sleep 1000");
  expect(await supervisorOf(one!)).toBe(await supervisorOf(other!));
  expect(supervisorsOf(specOf(one!))).not.toContain(await supervisorOf(one!));
  for (const name of [one!, other!]) {
    const [first] = supervisorsOf(specOf(name));
    expect([argumentsOf(first!)[0], processEntry(first!)!.session]).toEqual(["/bin/sh", first!]);
    const names = readFileSync(`/proc/${first}/environ`, "utf8").split("\0");
    expect(names.filter((entry) => !/^(?:PATH|HOME|LANG|LC_ALL|TZ|DP_SHARED|DP_TURN)=|^$/.test(entry))).toEqual([]);
  }
});

test("to stop one ends that one alone, with its guard", async () => {
  const [one, other] = await started("sleep 1000", "sleep 1000");
  const { pid } = await quick.status(other!);
  const files = () => readdirSync(`/proc/${shared}/fd`).length;
  const shared = await supervisorOf(one!);
  const open = files();
  await quick.stop(one!, io);
  await until("its open files are closed", () => files() <= open - 8);
  expect([supervisorsOf(specOf(one!)), await quick.pids(one!), (await stateOf(one!)).state]).toEqual([
    [],
    [],
    "stopped",
  ]);
  expect(await quick.status(other!)).toMatchObject({ state: "running", pid, detail: "" });
  await quick.start(one!, io);
  expect((await quick.status(one!)).state).toBe("running");
  expect(await supervisorOf(one!)).toBe(await supervisorOf(other!));
});

describe("begun ahead", () => {
  const hasGuard = (name: InstanceName) => supervisorsOf(specOf(name)).length > 0;
  /** Instances without guards: their supervisor starts none before it is asked, or two seconds are over. */
  const ahead = (...commands: string[]) => aheadBy([], ...commands);
  /** The same by a starter that is run by another program. */
  async function aheadBy(runner: readonly string[], ...commands: string[]) {
    const all = [];
    for (const command of commands) all.push({ ...(await shop.instance(command)), isAhead: true });
    const script = `
      import { makeIo, silentLog } from "${resolve("lib/host/io.ts")}";
      import builtin from "${resolve("lib/managers/builtin.ts")}";
      await builtin.expectMany("shop");
      for (const instance of JSON.parse(process.argv[1])) await builtin.start(instance, makeIo(silentLog));
      console.log("started");
      for await (const _ of console) console.log(await builtin.settle());
    `;
    const argv = [...runner, process.execPath, "-e", script, JSON.stringify(all)];
    const starter = Bun.spawn(argv, { env: process.env, stdin: "pipe", stdout: "pipe" });
    const lines = starter.stdout.pipeThrough(new TextDecoderStream()).getReader();
    expect((await lines.read()).value).toBe("started\n");
    const settle = async () => {
      starter.stdin.write("settle\n");
      starter.stdin.flush();
      return (await lines.read()).value;
    };
    return { all, starter, settle };
  }

  test("they run before they have guards, and have them when it is settled, more than once as well", async () => {
    const { all, starter, settle } = await ahead("sleep 1000", "sleep 1000");
    const shared = await supervisorOf(all[0]!);
    const before = await Promise.all(all.map((name) => quick.status(name)));
    expect(before.map(({ state, isOrphan }) => [state, isOrphan])).toEqual(Array(2).fill(["running", undefined]));
    for (let times = 0; times < 2; times++) expect(await settle()).toBe("true\n");
    expect(all.map(hasGuard)).toEqual([true, true]);
    starter.kill("SIGKILL");
    await starter.exited;
    process.kill(shared, "SIGKILL");
    for (const [at, name] of all.entries()) {
      await until(
        "a supervisor of its own",
        isSupervised(name, (pid) => pid !== shared),
      );
      expect(await quick.status(name)).toEqual(before[at]!);
    }
  });

  test("those of several supervisors are settled as well, for each has room for few", async () => {
    // For two each: see mostInstances.
    const { all, starter, settle } = await aheadBy(["prlimit", "--nofile=80:80"], ...Array(5).fill("sleep 1000"));
    const before = new Set(await Promise.all(all.map(supervisorOf)));
    expect(before.size).toBe(3);
    expect(await settle()).toBe("true\n");
    expect(all.map(hasGuard)).toEqual(Array(5).fill(true));
    expect(new Set(await Promise.all(all.map(supervisorOf)))).toEqual(before);
    starter.kill("SIGKILL");
    await starter.exited;
  });

  /** A supervisor of many to which only this test speaks, and which starts no guards by itself. */
  async function begun(...commands: string[]) {
    const names = await started(...commands);
    for (const name of names) {
      await quick.stop(name, io);
      rmSync(filesOf(name).state);
    }
    const script = `
      import { supervise } from "${resolve("lib/host/supervisor/supervisor.ts")}";
      import { superviseMany } from "${resolve("lib/host/supervisor/many.ts")}";
      const stop = new Promise((resolve) => process.on("SIGTERM", resolve));
      const one = (spec, stop, own, isWithdrawn) => supervise(spec, stop, null, own, isWithdrawn);
      await superviseMany(one, stop, 1_000_000);
      process.exit();
    `;
    const own = Bun.spawn([process.execPath, "-e", script], { stdin: "pipe", stdout: "pipe" });
    for (const name of names) own.stdin.write(`${JSON.stringify({ ...orderOf(specOf(name)), isAhead: true })}\n`);
    own.stdin.flush();
    for (const name of names)
      await until("running", async () => (await readRecord<State>(filesOf(name).state))?.state === "running");
    expect(names.map(hasGuard)).toEqual(names.map(() => false));
    const answers = own.stdout.pipeThrough(new TextDecoderStream()).getReader();
    return { names, own, answer: async () => (await answers.read()).value };
  }

  test("without a word they have no guards; with it they have, and that is said", async () => {
    const { names, own, answer } = await begun("sleep 1000", "sleep 1000");
    own.stdin.write(`${GUARD_ALL}\n`);
    own.stdin.flush();
    expect(await answer()).toBe("\n");
    expect(names.map(hasGuard)).toEqual([true, true]);
    for (const name of names) await quick.stop(name, io);
    own.stdin.end();
    expect(await own.exited).toBe(0);
  });

  test("they have guards when there is nobody any more who could speak", async () => {
    const { names, own, answer } = await begun("sleep 1000", "sleep 1000");
    own.stdin.end();
    expect(await answer()).toBe("\n");
    expect(names.map(hasGuard)).toEqual([true, true]);
    for (const name of names) await quick.stop(name, io);
    expect(await own.exited).toBe(0);
  });

  test("one that ends for good before is nobody's to wait for", async () => {
    const { names, own, answer } = await begun("sleep 1000");
    const [one] = names;
    process.kill((await quick.status(one!)).pid!, "SIGKILL");
    await until("a supervisor of its own", async () => hasGuard(one!));
    own.stdin.write(`${GUARD_ALL}\n`);
    own.stdin.flush();
    expect(await answer()).toBe("\n");
    await quick.stop(one!, io);
    own.stdin.end();
    expect(await own.exited).toBe(0);
  });

  test("when their supervisor is killed before, that is told, and they are adopted", async () => {
    const { all, starter, settle } = await ahead("sleep 1000", "sleep 1000");
    const [one, other] = all;
    const { pid } = await quick.status(one!);
    process.kill(await supervisorOf(one!), "SIGKILL");
    expect(await settle()).toBe("false\n");
    for (const name of all) expect(await quick.adopt!(name, io)).toBe(true);
    expect(await quick.status(one!)).toMatchObject({ state: "running", pid, restarts: 0, detail: "" });
    expect(await supervisorOf(one!)).not.toBe(await supervisorOf(other!));
    starter.kill("SIGKILL");
    await starter.exited;
  });

  test("when dp is killed they get guards, too", async () => {
    const { all, starter } = await ahead("sleep 1000", "sleep 1000");
    starter.kill("SIGKILL");
    await starter.exited;
    for (const name of all) await until("a guard", () => hasGuard(name));
    // Without a guard, this would be the end of the other one's supervisor.
    const shared = await supervisorOf(all[1]!);
    await quick.stop(all[0]!, io);
    expect([isAlive(shared), await quick.pids(all[0]!)]).toEqual([true, []]);
  });

  test("when dp hangs they get guards, too", async () => {
    const { all, starter } = await ahead("sleep 1000");
    starter.kill("SIGSTOP");
    await until("a guard", () => hasGuard(all[0]!));
    starter.kill("SIGKILL");
    await starter.exited;
  });

  test("one that crashes before has a supervisor of its own, and the other one its guard when it is settled", async () => {
    const { all, starter, settle } = await ahead("sleep 1000", "sleep 1000");
    const [one, other] = all;
    const shared = await supervisorOf(one!);
    process.kill((await quick.status(one!)).pid!, "SIGKILL");
    await until("started again", async () => (await quick.status(one!)).restarts === 1);
    expect([await supervisorOf(one!), await supervisorOf(other!)]).not.toEqual([shared, shared]);
    expect([await settle(), hasGuard(other!), await supervisorOf(other!)]).toEqual(["true\n", true, shared]);
    starter.kill("SIGKILL");
    await starter.exited;
  });

  test("SIGTERM to their supervisor before is no end of an app: each gets a supervisor of its own", async () => {
    const { all, starter } = await ahead("sleep 1000", "sleep 1000");
    const [{ pid }] = [await quick.status(all[0]!)];
    const shared = await supervisorOf(all[0]!);
    process.kill(shared, "SIGTERM");
    for (const name of all)
      await until(
        "its own",
        isSupervised(name, (found) => found !== shared),
      );
    expect(await quick.status(all[0]!)).toMatchObject({ state: "running", pid, restarts: 0 });
    starter.kill("SIGKILL");
    await starter.exited;
  });

  test("one that was withdrawn while it began is ended, and nothing is recorded", async () => {
    const [one] = await started("sleep 1000");
    await quick.stop(one!, io);
    const { spec, state } = filesOf(one!);
    rmSync(state);
    await supervise((await readRecord<Spec>(spec))!, new Promise(() => {}), null, null, () => true);
    await until("its end", async () => (await quick.pids(one!)).length === 0);
    expect(existsSync(state)).toBe(false);
  });

  test("whoever begins one ahead is told that it was withdrawn, although there was no guard to ask", async () => {
    const [one] = await started("sleep 1000");
    await quick.stop(one!, io);
    const script = `
      import { superviseMany } from "${resolve("lib/host/supervisor/many.ts")}";
      import { withdraw } from "${resolve("lib/host/supervisor/order.ts")}";
      const begin = async (spec, stop, own, isWithdrawn) => {
        const before = isWithdrawn();
        withdraw("${specOf(one!)}");
        console.log("withdrawn", before, isWithdrawn());
      };
      await superviseMany(begin, new Promise(() => {}));
      process.exit();
    `;
    const order = `${JSON.stringify({ ...orderOf(specOf(one!)), isAhead: true })}\n`;
    const own = Bun.spawn([process.execPath, "-e", script], { stdin: new TextEncoder().encode(order), stdout: "pipe" });
    expect(await own.stdout.text()).toContain("withdrawn false true\n");
  });

  test("what a killed supervisor has begun and not recorded is ended before it is begun again", async () => {
    const [one] = await started("sleep 1000");
    const [left] = await quick.pids(one!);
    const known = { pid: left!, startTime: startTime(left!)! };
    process.kill(await supervisorOf(one!), "SIGSTOP");
    killGuards(one!);
    process.kill(await supervisorOf(one!), "SIGKILL");
    await until("no supervisor", () => !hasGuard(one!));
    rmSync(filesOf(one!).state);
    spawnSuccessor(specOf(one!));
    await until("running", async () => (await quick.status(one!)).state === "running");
    expect([isAlive(known.pid, known.startTime), (await quick.pids(one!)).length]).toEqual([false, 1]);
  });
});

test("SIGTERM to the guard, as dp of before sends it, ends the instance once and in order", async () => {
  const [one] = await started(`trap 'echo told; exit 0' TERM; echo ready; while :; do sleep 0.02; done`);
  await until("ready", async () => (await outputOf(quick, one!, 10)).includes("ready"));
  for (const pid of supervisorsOf(specOf(one!))) process.kill(pid, "SIGTERM");
  await until("no guard", () => supervisorsOf(specOf(one!)).length === 0);
  expect((await stateOf(one!)).state).toBe("stopped");
  expect((await outputOf(quick, one!, 10)).filter((line) => line === "told")).toEqual(["told"]);
});

test("one that crashes is started again with its own delays, until it fails, and the others go on", async () => {
  const [crashing, other] = await started("echo ran; exit 3", "sleep 1000");
  const shared = await supervisorOf(other!);
  const { pid } = await quick.status(other!);
  await until("failed", async () => (await quick.status(crashing!)).state === "failed");
  expect(await quick.status(crashing!)).toMatchObject({ restarts: 4, detail: "exited with code 3" });
  expect(await outputOf(quick, crashing!, 100)).toEqual(Array.from({ length: 5 }, () => "ran"));
  await until("no guard", () => supervisorsOf(specOf(crashing!)).length === 0);
  expect(await quick.status(other!)).toMatchObject({ state: "running", pid, restarts: 0 });
  expect(await supervisorOf(other!)).toBe(shared);
});

test("one whose app has ended has a supervisor of its own, which ends what the app has left behind", async () => {
  const [other] = await started("sleep 1000");
  const command = "trap '' TERM; sleep 1000 & sleep 1001 & wait";
  const one = await shop.instance(command, { stopTimeout: 500 });
  await quick.start(one, io);
  const shared = await supervisorOf(one);
  const main = (await quick.status(one)).pid!;
  await until("three processes", async () => (await quick.pids(one)).length === 3);
  const known = (await quick.pids(one)).map((pid) => ({ pid, startTime: startTime(pid)! }));
  process.kill(main, "SIGKILL");
  await until("started again", async () => (await quick.status(one)).restarts === 1);
  expect(known.filter(({ pid, startTime }) => isAlive(pid, startTime))).toEqual([]);
  expect(supervisorsOf(specOf(one))).toContain(await supervisorOf(one));
  expect(await supervisorOf(other!)).toBe(shared);
  expect((await quick.status(other!)).state).toBe("running");
});

test("one whose app ends while its guard is being replaced is started again, too", async () => {
  const [one, other] = await started("sleep 1000", "sleep 1000");
  const shared = await supervisorOf(one!);
  killGuards(one!);
  process.kill((await quick.status(one!)).pid!, "SIGKILL");
  await until("started again", async () => (await quick.status(one!)).restarts === 1);
  expect([await supervisorOf(other!), (await quick.status(other!)).state]).toEqual([shared, "running"]);
  expect((await stateOf(one!)).supervisor.pid).not.toBe(shared);
});

test("SIGTERM to it alone is no end of an app: each gets a supervisor of its own", async () => {
  const names = await started("sleep 1000", "sleep 1000");
  const pids = await Promise.all(names.map(async (name) => (await quick.status(name)).pid));
  const shared = await supervisorOf(names[0]!);
  process.kill(shared, "SIGTERM");
  for (const [at, name] of names.entries()) {
    await until(
      "a supervisor of its own",
      isSupervised(name, (pid) => pid !== shared),
    );
    expect(await quick.status(name)).toMatchObject({ state: "running", pid: pids[at], restarts: 0 });
  }
  await until("the end of it", () => !isAlive(shared));
});

test("SIGTERM to it and to the guards, as when a machine is shut down, ends each app in order", async () => {
  const names = await started(
    ...Array(2).fill(`trap 'echo told; exit 0' TERM; echo ready; while :; do sleep 0.02; done`),
  );
  for (const name of names) await until("ready", async () => (await outputOf(quick, name, 10)).includes("ready"));
  const shared = await supervisorOf(names[0]!);
  for (const pid of [shared, ...names.flatMap((name) => supervisorsOf(specOf(name)))]) process.kill(pid, "SIGTERM");
  await until("the end of it", () => !isAlive(shared));
  for (const name of names) {
    expect((await stateOf(name)).state).toBe("stopped");
    expect((await outputOf(quick, name, 10)).filter((line) => line === "told")).toEqual(["told"]);
  }
});

test("when it is killed, each instance gets a supervisor of its own, runs on, and is started again after a crash", async () => {
  const both = await started("sleep 1000", "while sleep 0.01; do echo line; done");
  const pids = await Promise.all(both.map(async (name) => (await quick.status(name)).pid!));
  const killed = await supervisorOf(both[0]!);
  process.kill(killed, "SIGKILL");
  for (const [at, name] of both.entries()) {
    await until(
      "a supervisor of its own",
      isSupervised(name, (pid) => supervisorsOf(specOf(name)).includes(pid)),
    );
    expect(await quick.status(name)).toMatchObject({ state: "running", pid: pids[at], restarts: 0, detail: "" });
  }
  expect(await supervisorOf(both[0]!)).not.toBe(await supervisorOf(both[1]!));
  const lines = (await outputOf(quick, both[1]!, 100_000)).length;
  await until("more lines", async () => (await outputOf(quick, both[1]!, 100_000)).length > lines + 10);
  process.kill(pids[0]!, "SIGKILL");
  await until("started again", async () => (await quick.status(both[0]!)).restarts === 1);
  await quick.stop(both[0]!, io);
  expect([supervisorsOf(specOf(both[0]!)), await quick.pids(both[0]!)]).toEqual([[], []]);
  expect((await quick.status(both[1]!)).state).toBe("running");
});

test("one that is waiting for its next start when it is killed is started again, too", async () => {
  const slow = makeBuiltin(1_500);
  const instance = await shop.instance('[ -e "$SHARED/again" ] && exec sleep 1000; touch "$SHARED/again"; exit 1');
  await slow.start(instance, io);
  await until("waiting", async () => (await stateOf(instance)).state === "waiting");
  process.kill(await supervisorOf(instance), "SIGKILL");
  await until("started again", async () => (await slow.status(instance)).state === "running");
});

test("a guard that is killed is replaced, and nothing happens to the instance", async () => {
  const [one, other] = await started("sleep 1000", "sleep 1000");
  const status = await quick.status(one!);
  const killed = killGuards(one!);
  await until("another guard", () => supervisorsOf(specOf(one!)).some((pid) => !killed.includes(pid)));
  expect(await quick.status(one!)).toEqual(status);
  await quick.stop(one!, io);
  expect([supervisorsOf(specOf(one!)), await quick.pids(one!)]).toEqual([[], []]);
  expect((await quick.status(other!)).state).toBe("running");
});

test("an instance whose guard has just been killed can be stopped, and does not come again", async () => {
  const [one, other] = await started("sleep 1000", "sleep 1000");
  const { pid } = await quick.status(other!);
  const shared = await supervisorOf(one!);
  killGuards(one!);
  await quick.stop(one!, io);
  expect([(await quick.status(one!)).state, await quick.pids(one!)]).toEqual(["stopped", []]);
  expect(await supervisorOf(other!)).toBe(shared);
  expect(await quick.status(other!)).toMatchObject({ state: "running", pid, restarts: 0 });
  expect([supervisorsOf(specOf(one!)), await quick.pids(one!)]).toEqual([[], []]);
});

test("without supervisor and guard it is an orphan, and is adopted", async () => {
  const [one] = await started("sleep 1000");
  const { pid } = await quick.status(one!);
  process.kill(await supervisorOf(one!), "SIGSTOP");
  killGuards(one!);
  process.kill(await supervisorOf(one!), "SIGKILL");
  await until("orphaned", async () => (await quick.status(one!)).isOrphan);
  await until("the end of its guard", () => supervisorsOf(specOf(one!)).length === 0);
  expect(await quick.adopt!(one!, io)).toBe(true);
  expect(await quick.status(one!)).toMatchObject({ state: "running", pid, detail: "" });
});

test("one that hangs is killed for an instance that is to stop, and the others get supervisors of their own", async () => {
  const [one, other] = await started("sleep 1000", "sleep 1000");
  const { pid } = await quick.status(other!);
  const hung = await supervisorOf(one!);
  process.kill(hung, "SIGSTOP");
  await quick.stop(one!, io);
  expect([isAlive(hung), await quick.pids(one!)]).toEqual([false, []]);
  await until(
    "a supervisor of its own",
    isSupervised(other!, (found) => found !== hung),
  );
  expect(await quick.status(other!)).toMatchObject({ state: "running", pid, restarts: 0 });
}, 60_000);

test("one that was killed before it began an instance is no loss", async () => {
  const [one] = await started("sleep 1000");
  process.kill(await supervisorOf(one!), "SIGKILL");
  const [other] = await started("sleep 1000");
  expect((await quick.status(other!)).state).toBe("running");
});

test("a flood of one app keeps no other one's lines, nor its end, waiting", async () => {
  const [flood, other] = await started("exec yes", "while sleep 0.01; do echo line; done");
  const { log } = filesOf(flood!);
  await until("a flood", () => existsSync(`${log}.1`));
  const lines = (await outputOf(quick, other!, 100_000)).length;
  await until("more lines", async () => (await outputOf(quick, other!, 100_000)).length > lines + 20);
  await quick.stop(other!, io);
  expect((await stateOf(other!)).state).toBe("stopped");
  await quick.stop(flood!, io);
  expect(await quick.pids(flood!)).toEqual([]);
}, 60_000);

const superviseAll = (orders: readonly Order[]) => {
  const stdin = new TextEncoder().encode(orders.map((order) => `${JSON.stringify(order)}\n`).join(""));
  return Bun.spawn(sharedSupervisor("test"), { cwd: "/", env: {}, stdin, stdout: "ignore", stderr: "inherit" });
};

/** The guard of an order whose supervisor is killed before it can do anything. */
function guardAlone(order: Order) {
  const fds = [openSync("/dev/null", "r"), openSync("/dev/null", "w")] as const;
  const env = { PATH: "/usr/bin:/bin", DP_SHARED: JSON.stringify(order), DP_TURN: "0" };
  const stdio = ["ignore", "ignore", "inherit", ...fds] as const;
  const shell = Bun.spawn([...supervisor(), order.spec], { cwd: "/", env, stdio: [...stdio], detached: true });
  for (const fd of fds) closeSync(fd);
  return shell;
}

test("a guard whose supervisor was killed with a stale order starts none", async () => {
  const [renewed, withdrawn, begun] = await started("sleep 1000", "sleep 1000", "sleep 1000");
  const stale = orderOf(specOf(renewed!));
  await quick.stop(renewed!, io);
  await quick.start(renewed!, io);
  const { pid } = await quick.status(renewed!);
  expect(await guardAlone(stale).exited).toBe(0);
  expect(await quick.pids(renewed!)).toEqual([pid!]);
  expect(await quick.status(renewed!)).toMatchObject({ state: "running", pid, restarts: 0 });
  // As if nobody had recorded yet that it began.
  const order = orderOf(specOf(withdrawn!));
  rmSync(filesOf(withdrawn!).state);
  await quick.stop(withdrawn!, io);
  rmSync(filesOf(withdrawn!).state);
  expect(await guardAlone(order).exited).toBe(0);
  expect(await guardAlone(orderOf(specOf(withdrawn!))).exited).toBe(0);
  expect(await quick.pids(withdrawn!)).toEqual([]);
  // The same with an order that is good.
  await quick.stop(begun!, io);
  rmSync(filesOf(begun!).state);
  const shell = guardAlone(orderOf(specOf(begun!)));
  await until("running", async () => (await quick.status(begun!)).state === "running");
  expect(shell.exitCode).toBeNull();
});

test("to stop one whose record could not be written, as on a full disk, costs the others nothing", async () => {
  const [one, other] = await started("sleep 1000", "sleep 1000");
  const state = await stateOf(one!);
  for (const name of [one!, other!]) await quick.stop(name, io);
  const spec = (await readRecord<Spec>(specOf(one!)))!;
  writeFileSync(specOf(one!), JSON.stringify({ ...spec, state: `${folder()}/missing/state.json` }));
  rmSync(filesOf(other!).state);
  const own = superviseAll([one!, other!].map((name) => orderOf(specOf(name))));
  await until("the other", async () => (await quick.status(other!)).state === "running");
  const [pid] = (await until("one", async () => {
    const found = await quick.pids(one!);
    return found.length > 0 && found;
  })) as number[];
  const main = { pid: pid!, startTime: startTime(pid!)! };
  const { supervisor: shared } = await stateOf(other!);
  expect(shared.pid).toBe(own.pid);
  writeFileSync(filesOf(one!).state, JSON.stringify({ ...state, state: "running", main, supervisor: shared }));
  await quick.stop(one!, io);
  expect([await quick.pids(one!), (await stateOf(one!)).state]).toEqual([[], "stopped"]);
  expect([own.exitCode, own.signalCode]).toEqual([null, null]);
  expect(await supervisorOf(other!)).toBe(own.pid);
});

test("an order that cannot be withdrawn keeps nobody from stopping", () => {
  expect(() => withdraw("/proc/version")).not.toThrow();
  expect(() => withdraw(`${folder()}/missing`)).not.toThrow();
});

test("a spec that was removed, written anew or stopped since is not begun", async () => {
  const names = await started("sleep 1000", "sleep 1000", "sleep 1000");
  const [removed, renewed, stopped] = [names[0]!, names[1]!, names[2]!];
  for (const name of names) await quick.stop(name, io);
  const orders = names.map((name) => orderOf(specOf(name)));
  rmSync(specOf(removed));
  copyFileSync(specOf(renewed), `${specOf(renewed)}.new`);
  renameSync(`${specOf(renewed)}.new`, specOf(renewed));
  // As after a start whose dp was killed: nobody has recorded yet that it began.
  rmSync(filesOf(stopped).state);
  await quick.stop(stopped, io);
  const own = superviseAll(orders);
  expect(await own.exited).toBe(0);
  for (const name of names) {
    await until("no guard", () => supervisorsOf(specOf(name)).length === 0);
    expect([(await quick.status(name)).state, await quick.pids(name)]).toEqual(["stopped", []]);
  }
});

test("instances outlive the program that started them, together with their supervisor", async () => {
  const [one, other] = [await shop.instance("sleep 1000"), await shop.instance("sleep 1000")];
  const script = `
    import { makeIo, silentLog } from "${resolve("lib/host/io.ts")}";
    import builtin from "${resolve("lib/managers/builtin.ts")}";
    await builtin.expectMany("shop");
    for (const instance of JSON.parse(process.argv[1])) await builtin.start(instance, makeIo(silentLog));
    process.kill(process.pid, "SIGKILL");
  `;
  const starter = Bun.spawnSync([process.execPath, "-e", script, JSON.stringify([one, other])], { env: process.env });
  expect(starter.signalCode as string).toBe("SIGKILL");
  const { pid } = await quick.status(one);
  const shared = await supervisorOf(one);
  expect(await supervisorOf(other)).toBe(shared);
  process.kill(pid!, "SIGKILL");
  await until("started again", async () => (await quick.status(one)).restarts === 1);
  for (const name of [one, other]) await quick.stop(name, io);
  await until("the end of it", () => !isAlive(shared));
}, 30_000);

test("after a reboot it gets ready before the first start, and ends with its starter when there is none", async () => {
  const [name] = await started("sleep 1000");
  const spec = specOf(name!);
  await quick.enable(name!.app, [name!.id], io);
  await quick.stop(name!, io);
  const script = `
    import { family, argumentsOf } from "${resolve("lib/host/process/process.ts")}";
    import builtin from "${resolve("lib/managers/builtin.ts")}";
    for (let times = 0; times < 2; times++) await builtin.expectMany(process.argv[1]);
    const isShared = (pid) => /^shared:/.test(argumentsOf(pid).at(-1) ?? "");
    const children = () => family(process.pid).filter((pid) => pid !== process.pid);
    // One that has just begun has the arguments of its parent, or none.
    while (!children().every(isShared)) await Bun.sleep(1);
    const found = children();
    await Bun.write(Bun.stdout, found.join(" "));
  `;
  const expecting = () => {
    const argv = [process.execPath, "-e", script, name!.app];
    return Bun.spawnSync(argv, { env: process.env }).stdout.toString().split(" ").filter(Boolean).map(Number);
  };
  expect(expecting()).toEqual([]);
  writeFileSync(spec, JSON.stringify({ ...(await readRecord<Spec>(spec)), boot: "another" }));
  const found = expecting();
  expect(found.length).toBe(1);
  await until("the end of it", () => !isAlive(found[0]!));
}, 30_000);
