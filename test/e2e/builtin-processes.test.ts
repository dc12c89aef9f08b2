// A web process and workers, through deploys under load, failures, kills and commands: over real pushes, without root.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { CronRow } from "../../lib/commands/cron.ts";
import type { ProcessRow } from "../../lib/commands/ps.ts";
import { addJobs, faultsOf, queueApp, readNotes, upBy } from "../support/queue-app.ts";
import { FAR, FAR_TIME } from "../support/far-schedule.ts";
import { pidsWith, project, sandbox, until, type Sandbox } from "../support/sandbox.ts";

const CRON = `cron:
  - {schedule: "${FAR}", command: 'echo "hand of $DP_RELEASE in $DP_PROCESS"', name: hand}
  - {schedule: "${FAR}", command: "echo no luck; exit 3", name: bad}
  - {schedule: "${FAR}", command: 'echo begun; while [ ! -e "$HOME/go" ]; do sleep 0.05; done; echo ended', name: long}
`;
const CLOCK = `${CRON}  - {schedule: "* * * * *", command: 'echo "tick of $DP_RELEASE in $DP_PROCESS"', name: tick}\n`;

let box: Sandbox;
beforeAll(async () => {
  box = await sandbox("shop");
  await box.commit({ ...queueApp("shop", CRON), "server.py": null, say: null });
});
afterAll(() => box?.stop());

const must = async (...argv: string[]) => {
  const { code, text, stdout } = await box.dp(...argv);
  expect(`${code}${code === 0 ? "" : `\n${text}`}`).toBe("0");
  return stdout;
};
const ps = async () => JSON.parse(await must("ps", "shop", "--json")) as ProcessRow[];
/** `worker.1 running` and so on. */
const states = async () => (await ps()).map(({ process, state }) => `${process} ${state}`);
/** Without the job that comes and goes by the clock. */
const running = () =>
  Object.keys(box.instances())
    .filter((id) => !id.endsWith(".cron.tick"))
    .sort();
const live = () => box.link("current")!;
const enabled = () => readFileSync(join(box.base, "instances/enabled"), "utf8").trim().split("\n").sort();

/** The live release runs as it should and nothing else does, also by the notes of the workers. */
const expectWell = async (workers: number) => {
  const ids = Array.from({ length: workers }, (_, index) => `${live()}.worker.${index + 1}`);
  expect(running()).toEqual([live(), ...ids]);
  expect(enabled()).toEqual([live(), ...ids]);
  await until(
    "the workers say that they are up",
    () => Object.keys(upBy(readNotes(box.base).notes)).length === workers,
  );
  expect(upBy(readNotes(box.base).notes)).toEqual(
    Object.fromEntries(ids.map((id) => [id.slice(live().length + 1), live()])),
  );
  expect(JSON.parse(await must("status", "shop", "--json"))).toMatchObject({
    live: live(),
    isHealthy: true,
    strays: [],
  });
};

describe("deploys", () => {
  test("the first one starts web and a worker", async () => {
    const { code, text } = await box.push();
    expect(`${code} ${text}`).toMatch(/^0 [\s\S]*workers .* worker\.1, cron hand runs at 0 0 1 \d+ \*/);
    await expectWell(1);
    expect(await states()).toEqual(["web.1 running", "worker.1 running"]);
  });

  test("scale writes config.yml and starts or stops what differs, at once", async () => {
    const config = readFileSync(join(box.base, "config.yml"), "utf8");
    expect(JSON.parse(await must("scale", "shop", "worker=2", "--json"))).toEqual({ web: 1, worker: 2 });
    await expectWell(2);
    const example = "# scale: {worker: 2}\n";
    const changed = config.replace(example, `${example}scale: {worker: 2}\n`);
    expect(readFileSync(join(box.base, "config.yml"), "utf8")).toBe(changed);
    expect(await must("scale", "shop")).toBe("web=1\nworker=2\n");
    expect(await box.dp("scale", "shop", "wroker=1")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('did you mean "worker"?'),
    });
    expect(await box.dp("scale", "shop", "web=2", "worker=1")).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^dp: web is always one process, web=1, .*; not web=2\n {2}→ /),
    });
    expect(readFileSync(join(box.base, "config.yml"), "utf8")).toBe(changed);
    expect(await box.dp("scale", "shop", "worker")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("worker=2"),
    });
  });

  test("five under load: every job is done once, no worker runs twice, none of an old release is left", async () => {
    const load = addJobs(box.port, 60);
    try {
      for (let count = 1; count <= 5; count++) {
        await until(
          "jobs are done",
          () => readNotes(box.base).notes.filter(([what]) => what === "end").length > count * 5,
        );
        await box.release({ version: `${count}` });
        await expectWell(2);
      }
    } finally {
      await load.stop();
    }
    await until("all jobs are done", () => readNotes(box.base).left === 0);
    expect(load.failures).toEqual([]);
    expect(load.jobs.length).toBeGreaterThan(30);
    await until("the last end is noted", () => faultsOf(readNotes(box.base).notes, load.jobs).length === 0);
    expect(faultsOf(readNotes(box.base).notes, load.jobs)).toEqual([]);
  }, 180_000);

  test("a worker that crashes at boot fails the deploy, and the old ones go on", async () => {
    const before = live();
    await box.commit({ "worker.py": 'raise SystemExit("there is no queue")\n' });
    const { code, text } = await box.push();
    expect(code).toBe(1);
    expect(text).toMatch(/FAILED at workers: shop@\d+-\w+\.worker\.\d is not running: exited with code 1/);
    expect(text).toContain("| there is no queue");
    expect(live()).toBe(before);
    expect(await box.answer()).toBe(before);
    await expectWell(2);
    await box.git("reset", "--quiet", "--hard", "HEAD~1");
  });

  test("a health check of its own must exit with 0", async () => {
    const check = (command: string) =>
      `processes:\n  worker:\n    command: exec python3 worker.py\n    healthCheck: {command: "${command}", interval: 100ms, startTimeout: 1s}\n`;
    const files = (command: string) => ({
      "deploy.yml": queueApp("shop", CRON)["deploy.yml"]!.replace(/processes:\n.*\n/, check(command)),
    });
    await box.commit(files("echo not yet; exit 4"));
    const { code, text } = await box.push();
    expect(code).toBe(1);
    expect(text).toMatch(/FAILED at workers: the health check of shop@\S+ exited with code 4 in all \d+ tries/);
    expect(text).toContain("| not yet");
    await expectWell(2);
    await box.release(files("test $DP_PROCESS = worker.1 || test $DP_PROCESS = worker.2"));
    await expectWell(2);
  });

  test.each(["workers:begun", "workers:2", "workers:12", "workers:done"])(
    "killed at %s: the next deploy ends it, and each worker is there once",
    async (failpoint) => {
      const { code } = await box.dpKilledAt(failpoint, "deploy", "shop");
      expect(code).toBe(143);
      await must("resume", "shop");
      await expectWell(2);
    },
    60_000,
  );

  test("killed half way, it can be taken back as well", async () => {
    const before = live();
    expect((await box.dpKilledAt("workers:6", "deploy", "shop")).code).toBe(143);
    const id = box.ids().at(-1)!;
    for (const step of ["workers", "verify", "swap", "check", "start"])
      await must("step", step, "--undo", "--app", "shop");
    expect([live(), id === before]).toEqual([before, false]);
    await expectWell(2);
  }, 60_000);

  test("rollback takes the workers along, and a lost one is started by reconcile", async () => {
    await box.release({ version: "before the rollback" });
    const last = live();
    await must("rollback", "shop");
    expect(live()).not.toBe(last);
    await expectWell(2);
    for (const pid of pidsWith(`${live()}.worker.2.json`)) process.kill(pid, "SIGKILL");
    for (const pid of box.instances()[`${live()}.worker.2`]!) process.kill(pid, "SIGTERM");
    await until("worker.2 is gone", () => box.instances()[`${live()}.worker.2`] === undefined);
    await must("reconcile", "shop");
    await expectWell(2);
  });
});

describe("by hand", () => {
  test("ps shows pid, uptime, restarts, memory and command", async () => {
    const rows = await ps();
    expect(rows.map(({ process }) => process)).toEqual(["web.1", "worker.1", "worker.2"]);
    for (const row of rows) {
      expect(box.instances()[row.process === "web.1" ? live() : `${live()}.${row.process}`]).toEqual([row.pid!]);
      expect(row).toMatchObject({ state: "running", restarts: 0, release: live() });
      expect(row.memory).toBeGreaterThan(1024 * 1024);
      expect(Date.parse(row.since!)).toBeLessThan(Date.now());
    }
    const text = await must("ps", "shop");
    expect(text).toMatch(/^PROCESS +STATE +PID +UP +RESTARTS +MEMORY +COMMAND\n/);
    expect(text).toMatch(/^worker\.2 +running +\d+ +[\dsm ]+ +0 +\d+\.\d MB +exec python3 worker\.py$/m);
  });

  test("logs of all processes, of one kind, of one", async () => {
    const said = async (...words: string[]) => (await must("logs", "shop", ...words)).trim().split("\n");
    const line = (name: string) => new RegExp(`^\\S+Z ${name.replace(".", "\\.")}\\[${live()}\\]: ready ${name} `);
    expect(await said("worker.2", "-n", "1")).toEqual([expect.stringMatching(line("worker.2"))]);
    for (const words of [["worker"], []]) {
      const lines = await said(...words);
      for (const name of ["worker.1", "worker.2"]) expect(lines).toContainEqual(expect.stringMatching(line(name)));
      expect(lines.map((text) => text.split(" ")[0])).toEqual(lines.map((text) => text.split(" ")[0]!).sort());
    }
    expect(await box.dp("logs", "shop", "wroker")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("worker"),
    });
  });

  test("restart of one process leaves the others alone; of web loses no request", async () => {
    const pids = async () => Object.fromEntries((await ps()).map(({ process, pid }) => [process, pid]));
    const before = await pids();
    await must("restart", "shop", "worker.2");
    const after = await pids();
    expect([after["web.1"], after["worker.1"]]).toEqual([before["web.1"]!, before["worker.1"]!]);
    expect(after["worker.2"]).not.toBe(before["worker.2"]!);
    const load = addJobs(box.port, 20);
    try {
      await until("requests", () => load.jobs.length > 3);
      const web = (await pids())["web.1"];
      await must("restart", "shop", "web");
      expect((await pids())["web.1"]).not.toBe(web!);
      const count = load.jobs.length;
      await until("more requests", () => load.jobs.length > count + 3);
    } finally {
      await load.stop();
    }
    expect(load.failures).toEqual([]);
    expect(await box.dp("restart", "shop", "wroker")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('did you mean "worker"?'),
    });
    expect(await box.dp("restart", "shop", "worker.7")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("runs 2 of worker"),
    });
  });

  test("a changed setting, and a restart of all, reach the workers as well", async () => {
    const settingOf = (pid: number) => /\0GREETING=([^\0]*)/.exec(readFileSync(`/proc/${pid}/environ`, "utf8"))?.[1];
    await must("env", "shop", "set", "GREETING=hello-workers");
    await expectWell(2);
    const before = await ps();
    expect(before.map(({ pid }) => settingOf(pid!))).toEqual(["hello-workers", "hello-workers", "hello-workers"]);
    await must("restart", "shop");
    await expectWell(2);
    const after = await ps();
    expect(after.filter(({ pid }) => before.some((row) => row.pid === pid))).toEqual([]);
    expect(after.map(({ pid }) => settingOf(pid!))).toEqual(["hello-workers", "hello-workers", "hello-workers"]);
  });

  test("what is stopped stays so until it is started or the next deploy", async () => {
    await must("stop", "shop", "worker");
    expect(running()).toEqual([live()]);
    expect(await must("reconcile", "shop")).toContain("nothing to do");
    expect(enabled()).toEqual([live()]);
    expect(await states()).toEqual(["web.1 running", "worker.1 stopped", "worker.2 stopped"]);
    await must("start", "shop", "worker.1");
    await expectWell(1);
    await box.release({ version: "starts all" });
    await expectWell(2);
    await must("stop", "shop");
    expect(running()).toEqual([]);
    expect(await must("reconcile", "shop")).toContain("nothing to do");
    await must("start", "shop");
    await expectWell(2);
    expect(await box.answer()).toBe(live());
  });

  test("a scale whose new process does not come up changes nothing", async () => {
    const config = readFileSync(join(box.base, "config.yml"), "utf8");
    const only = `import os, sys\nif os.environ["DP_PROCESS"] == "worker.3": sys.exit("two are enough")\n`;
    await box.release({ "worker.py": only + queueApp("shop")["worker.py"]! });
    const { code, text } = await box.dp("scale", "shop", "worker=3");
    expect([code, text]).toEqual([7, expect.stringContaining("two are enough")]);
    expect(readFileSync(join(box.base, "config.yml"), "utf8")).toBe(config);
    await expectWell(2);
    await must("scale", "shop", "worker=0");
    expect(running()).toEqual([live()]);
    await must("scale", "shop", "worker=2");
    await expectWell(2);
  });
});

describe("cron", () => {
  const entries = async () => JSON.parse(await must("cron", "shop", "--json")) as CronRow[];
  const entry = async (name: string) => (await entries()).find((row) => row.name === name)!;

  test("one of them by hand: output, exit code, and what is noted", async () => {
    expect(await box.dp("cron", "run", "shop", "hand")).toMatchObject({
      code: 0,
      stdout: `hand of ${live()} in cron.hand\n`,
    });
    expect(await box.dp("cron", "run", "shop", "bad")).toMatchObject({
      ...{ code: 6, stdout: "no luck\n" },
      stderr: expect.stringContaining("exited with code 3"),
    });
    expect(await must("logs", "shop", "cron.bad", "-n", "1")).toEndWith(` cron.bad[${live()}]: no luck\n`);
    expect((await entry("bad")).last).toMatchObject({ code: 3, detail: "exited with code 3", release: live() });
    expect(await box.dp("cron", "run", "shop", "hands")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('did you mean "hand"?'),
    });
    expect(await must("cron", "shop")).toMatch(
      new RegExp(`^bad +0 0 1 \\d+ \\* +${FAR_TIME} +.* exited with code 3 after 0s +echo no luck; exit 3$`, "m"),
    );
  });

  test("never two of the same; a deploy lets it end in the release that it began in", async () => {
    const before = live();
    const run = box.start([join(project, "bin/dp"), "cron", "run", "shop", "long"]);
    await until("it runs", async () => (await entry("long")).isRunning);
    expect(await box.dp("cron", "run", "shop", "long")).toMatchObject({
      code: 5,
      stderr: expect.stringContaining("already running"),
    });
    await box.release({ version: "while it runs" });
    expect(running()).toContain(`${before}.cron.long`);
    await Bun.write(join(box.base, "home/go"), "");
    expect(await run.done).toMatchObject({ code: 0, stdout: "begun\nended\n" });
    expect((await entry("long")).last).toMatchObject({ code: 0, release: before });
    await expectWell(2);
  }, 60_000);

  test("the clock fires in the live release, also after everything was killed", async () => {
    await box.release({ "deploy.yml": queueApp("shop", CLOCK)["deploy.yml"]! });
    await until("all is gone", () => {
      const left = [...pidsWith(box.root), ...Object.values(box.instances()).flat()];
      for (const pid of left) kill(pid);
      return left.length === 0;
    });
    const since = new Date().toISOString();
    await must("reconcile", "shop");
    await expectWell(2);
    expect((await entry("tick")).next).not.toBeNull();
    const deadline = performance.now() + 100_000;
    while (!(((await entry("tick")).last?.endedAt ?? "") > since)) {
      expect(performance.now()).toBeLessThan(deadline);
      await Bun.sleep(500);
    }
    expect((await entry("tick")).last).toMatchObject({ code: 0, release: live() });
    const log = join(box.root, "var/log/deployments/shop", `${live()}.cron.tick.app.log`);
    expect(readFileSync(log, "utf8")).toContain(`tick of ${live()} in cron.tick\n`);
  }, 180_000);

  test("entries go with the release that had them, and the scheduler with the last", async () => {
    expect(pidsWith(`${box.base}/instances/scheduler`).length).toBeGreaterThan(0);
    await box.release({ "deploy.yml": queueApp("shop")["deploy.yml"]! });
    expect(await entries()).toEqual([]);
    expect(existsSync(join(box.base, "instances/cron.json"))).toBe(false);
    expect(pidsWith(`${box.base}/instances/scheduler`)).toEqual([]);
  });
});

describe("an app without a web process", () => {
  test("has no port and no front; its processes are its health", async () => {
    const yml =
      "name: shop\ntype: python\nprocesses:\n  worker: {command: exec python3 worker.py, healthCheck: {stayUp: 1s}}\n";
    await box.release({ "deploy.yml": yml });
    expect(running()).toEqual([`${live()}.worker.1`, `${live()}.worker.2`]);
    expect(await states()).toEqual(["worker.1 running", "worker.2 running"]);
    await expect(box.answer()).rejects.toThrow();
    expect(JSON.parse(await must("status", "shop", "--json"))).toMatchObject({
      isHealthy: true,
      front: null,
      strays: [],
    });
    const before = live();
    await box.commit({ "worker.py": 'raise SystemExit("no")\n' });
    expect((await box.push()).text).toContain("FAILED at workers");
    expect(live()).toBe(before);
    expect(running()).toEqual([`${live()}.worker.1`, `${live()}.worker.2`]);
    await box.git("reset", "--quiet", "--hard", "HEAD~1");
  }, 60_000);

  test("gets them back with its web process, by a Procfile as well, whose release line runs before", async () => {
    const procfile =
      "web: exec python3 web.py\nworker: exec python3 worker.py\nrelease: echo $DP_RELEASE > $HOME/released\n";
    await box.release({
      ...queueApp("shop"),
      "deploy.yml": "name: shop\ntype: python\nhealthCheck: /health\n",
      Procfile: procfile,
    });
    await expectWell(2);
    expect(await box.answer()).toBe(live());
    expect(readFileSync(join(box.base, "home/released"), "utf8")).toBe(`${live()}\n`);
    const commands = (await ps()).map(({ process, command }) => `${process}: ${command}`);
    expect(commands).toEqual([
      "web.1: exec python3 web.py",
      ...[1, 2].map((at) => `worker.${at}: exec python3 worker.py`),
    ]);
  }, 60_000);
});

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // gone by itself
  }
}
