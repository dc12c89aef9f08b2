// The systemd manager in a real server: this file boots one, copies the project in, and runs itself there.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setUpUnits as setUpDaemon } from "../../lib/host/daemon/service.ts";
import { DpError } from "../../lib/errors.ts";
import { waitUntilUp } from "../../lib/health/process-check.ts";
import { makeIo, silentLog } from "../../lib/host/io.ts";
import systemd from "../../lib/managers/systemd.ts";
import type { Instance } from "../../lib/contracts/manager.ts";
import type { InstanceName } from "../../lib/host/instance.ts";
import { places } from "../../lib/paths.ts";
import { askProperties, askUnits } from "../../lib/host/systemd/ask.ts";
import { SYSTEM_BUS } from "../../lib/host/systemd/bus.ts";
import { leaveEarly } from "../../lib/host/systemd/early.ts";
import { doJob, resetFailed } from "../../lib/host/systemd/job.ts";
import { statusFrom } from "../../lib/host/systemd/systemd.ts";
import { unitPath, unitText } from "../../lib/host/systemd/unit.ts";
import { type Box, boxUnavailable, startBox } from "../support/box.ts";
import { managerContract, outputOf, until, workshop } from "./contract.ts";

const USER = "dp-contract";
const WANTS = "/etc/systemd/system/multi-user.target.wants";
const io = makeIo(silentLog);
const isInside = process.env["DP_TEST_INSIDE"] === "1";
const why = boxUnavailable();

describe("units", () => {
  const managed = { app: "demo", base: "/opt/deployments/demo", user: "dp-demo", stopTimeout: 1500 };

  test("the template unit names what is the app's, and is marked as dp's own", async () => {
    const text = await unitText(managed);
    expect(text).toStartWith("# written by dp:");
    for (const line of [
      "After=network-online.target dp-relay.service",
      "User=dp-demo",
      "WorkingDirectory=/opt/deployments/demo/instances/%i.folder",
      "Restart=always",
      "EnvironmentFile=/opt/deployments/demo/instances/%i.env",
      "ExecStart=/bin/sh /opt/deployments/demo/instances/%i.sh",
      "TimeoutStopSec=1500ms",
      "TemporaryFileSystem=/opt/deployments:ro",
      "InaccessiblePaths=-/opt/deployments/demo/runs -/var/repos -/var/log/deployments",
    ]) {
      expect(text.split("\n")).toContain(line);
    }
    expect(text).not.toContain("{{");
  });

  test("that of cron's jobs differs in one thing: what has ended is not started again", async () => {
    const lines = (await unitText(managed, true)).split("\n").slice(1);
    const others = (await unitText(managed)).split("\n").slice(1);
    expect(lines.filter((line) => !others.includes(line))).toEqual(["Restart=no"]);
  });

  test.each([
    [{ user: undefined }, "needs a user"],
    [{ user: "a\nExecStart=/bin/x" }, "cannot be the user"],
    [{ base: "/opt/a b" }, "cannot be named in a unit"],
    [{ base: "/opt/a\nUser=root" }, "cannot be named in a unit"],
    [{ app: "../x" }, "app name"],
  ])("%j never becomes a unit", async (more, message) => {
    await expect(unitText({ ...managed, ...more })).rejects.toThrow(message);
  });

  test("a % in a path is no specifier", () => {
    expect(unitPath("/srv/100%i")).toBe("/srv/100%%i");
  });

  const shown = {
    MainPID: "0",
    NRestarts: "2",
    ExecMainCode: "1",
    ExecMainStatus: "3",
    ExecMainStartTimestamp: "Sat 2025-11-22 14:49:31 UTC",
    Result: "exit-code",
  };
  test.each([
    [
      { ActiveState: "active", SubState: "running", MainPID: "7" },
      { state: "running", pid: 7, since: "2025-11-22T14:49:31.000Z", detail: "" },
    ],
    [
      { ActiveState: "activating", SubState: "auto-restart" },
      { state: "waiting", pid: null, since: null, detail: "exited with code 3" },
    ],
    [
      { ActiveState: "activating", SubState: "auto-restart-queued" },
      { state: "waiting", pid: null },
    ],
    [
      { ActiveState: "deactivating", SubState: "stop-sigterm" },
      { state: "waiting", pid: null },
    ],
    [
      { ActiveState: "deactivating", SubState: "stop-sigterm", MainPID: "7" },
      { state: "running", pid: 7 },
    ],
    [
      { ActiveState: "failed", SubState: "failed", ExecMainCode: "2", ExecMainStatus: "9" },
      { state: "failed", detail: "killed by SIGKILL" },
    ],
    [
      { ActiveState: "failed", SubState: "failed", ExecMainCode: "3", ExecMainStatus: "6" },
      { state: "failed", detail: "killed by SIGABRT" },
    ],
    [
      { ActiveState: "failed", SubState: "failed", Result: "oom-kill" },
      { state: "failed", detail: "killed: out of memory" },
    ],
    [
      { ActiveState: "inactive", SubState: "dead" },
      { state: "stopped", pid: null, since: null, detail: "" },
    ],
  ])("%j", (more, status) => {
    expect(statusFrom({ ...shown, ...more })).toMatchObject(status as object);
  });

  test.skipIf(isInside)("under DP_ROOT it refuses: the units of the real system are not touched", async () => {
    const before = process.env["DP_ROOT"];
    process.env["DP_ROOT"] = "/nonexistent";
    try {
      expect(await systemd.unavailable()).toContain("DP_ROOT");
      await expect(systemd.stop({ app: "demo", id: "1-aaaaaaa" }, io)).rejects.toThrow("DP_ROOT");
    } finally {
      if (before === undefined) delete process.env["DP_ROOT"];
      else process.env["DP_ROOT"] = before;
    }
  });
});

describe.skipIf(isInside || why !== null)(`in a server of its own${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: Box;
  const source = "/opt/dp-source";
  beforeAll(async () => {
    box = await startBox("systemd");
    await box.copyIn(process.execPath, "/usr/local/bin/bun");
    await box.copyTree(source);
    await box.must(`useradd --system --user-group --shell /usr/sbin/nologin ${USER}`);
  }, 300_000);
  afterAll(() => box?.stop(), 60_000);

  test("the contract, the sandbox and the units", async () => {
    const command = `cd ${source} && DP_TEST_INSIDE=1 bun test test/managers/systemd.test.ts --timeout=120000`;
    const answer = await box.ssh(command, { timeout: 400_000 });
    if (answer.code !== 0) throw new Error(answer.text);
    expect(Number(/^ *(\d+) pass$/m.exec(answer.text)?.[1])).toBeGreaterThan(35);
  }, 420_000);

  test("after a reboot the enabled instance is up, and no other", async () => {
    await box.write("/root/two.ts", TWO);
    await box.must(`bun /root/two.ts ${source}`);
    const active = "systemctl list-units --plain --no-legend --state=active 'reboot@*' | cut -d' ' -f1";
    expect((await box.must(active)).split("\n")).toEqual(["reboot@1-aaaaaaa.service", "reboot@2-bbbbbbb.service"]);
    await box.reboot();
    await until("the enabled one is up", async () => (await box.must(active)) !== "");
    expect(await box.must(active)).toBe("reboot@2-bbbbbbb.service");
    expect((await box.ssh("systemctl status --no-pager 'reboot@*'")).stdout).toContain("Active: active (running)");
    expect(await box.must("cat /opt/deployments/reboot/shared/greeting")).toBe("hello again");
  }, 120_000);
});

// Starts two releases of an app and enables the second, which writes its environment whenever it starts.
const TWO = `
  import { mkdirSync, rmSync } from "node:fs";
  const source = process.argv[2];
  const { makeIo, silentLog } = await import(source + "/lib/host/io.ts");
  const { default: systemd } = await import(source + "/lib/managers/systemd.ts");
  const base = "/opt/deployments/reboot", io = makeIo(silentLog), user = "${USER}", stopTimeout = 5000;
  for (const folder of ["shared", "home", "releases/1-aaaaaaa", "releases/2-bbbbbbb"]) mkdirSync(base + "/" + folder, { recursive: true });
  Bun.spawnSync(["chown", user, base + "/shared"]);
  await systemd.setup({ app: "reboot", base, user, stopTimeout }, io);
  for (const id of ["1-aaaaaaa", "2-bbbbbbb"]) {
    const env = { PATH: "/usr/bin:/bin", GREETING: "hello again" };
    const command = 'echo "$GREETING" > ' + base + "/shared/greeting; exec sleep 1000";
    await systemd.start({ app: "reboot", id, folder: base + "/releases/" + id, command, env, user, stopTimeout }, io);
    await systemd.enable("reboot", [id], io);
  }
  while (!(await Bun.file(base + "/shared/greeting").exists())) await Bun.sleep(20);
  rmSync(base + "/shared/greeting");
`;

const inside = () => {
  const subject = () => ({ manager: systemd, user: USER });
  const shop = workshop(subject);
  afterEach(() => shop.clean(), 60_000);

  managerContract(subject);

  describe("prepared", () => {
    const start = async (instance: Instance) => {
      systemd.prepare!(instance);
      await systemd.start(instance, io);
    };
    managerContract(() => ({ manager: { ...systemd, start }, user: USER }));

    const folderOf = ({ app }: InstanceName) => places(app).instances;
    /** Waits until its unit runs, and answers the process that waits for the script. */
    const waiting = async (instance: Instance) => {
      systemd.prepare!(instance);
      const running = async () => {
        const { state, pid } = await systemd.status(instance);
        return state === "running" ? pid : null;
      };
      return (await until("its unit runs", running))!;
    };

    test("the process that has waited becomes the app, and what is started after it begins at once", async () => {
      const value = 'it\'s $HOME\n`a` "b" \\ end ';
      const env = { VALUE: value, PORT: "4712" };
      const instance = await shop.instance('printf "%s" "$VALUE" >"$SHARED/$PORT"; exec sleep 1000', { env });
      const pid = await waiting(instance);
      expect(systemd.isPrepared!(instance)).toBe(true);
      expect(readdirSync(places(instance.app).shared)).toEqual([]);
      await systemd.start(instance, io);
      expect(systemd.isPrepared!(instance)).toBe(false);
      expect((await systemd.status(instance)).pid).toBe(pid);
      const told = join(places(instance.app).shared, "4712");
      await until("it has written", () => existsSync(told) && readFileSync(told, "utf8") === value);
      expect(readlinkSync(`/proc/${pid}/cwd`)).toBe(instance.folder);
      rmSync(told);
      process.kill(pid, "SIGKILL");
      await until("it is started again", () => existsSync(told) && readFileSync(told, "utf8") === value);
    });

    test("what was not started is ended by whoever is told to, and leaves nothing", async () => {
      const instance = await shop.instance("sleep 1000");
      const pid = await waiting(instance);
      const lines = `const { default: systemd } = await import("${join(import.meta.dir, "../../lib/managers/systemd.ts")}");
        const { makeIo, silentLog } = await import("${join(import.meta.dir, "../../lib/host/io.ts")}");
        const name = JSON.parse(process.argv[1]);
        for (let times = 0; times < 2; times++) await systemd.unprepare(name, makeIo(silentLog));`;
      const name = JSON.stringify({ app: instance.app, id: instance.id });
      expect(Bun.spawnSync([process.execPath, "-e", lines, name]).stderr.toString()).toBe("");
      expect(existsSync(`/proc/${pid}`)).toBe(false);
      expect(readdirSync(folderOf(instance))).toEqual([]);
      await systemd.start(instance, io); // it knows of no end
      expect((await systemd.status(instance)).state).toBe("running");
    });

    test("unprepare at once leaves nothing either", async () => {
      const instance = await shop.instance("sleep 1000");
      systemd.prepare!(instance);
      await systemd.unprepare!(instance, io);
      expect(readdirSync(folderOf(instance))).toEqual([]);
      expect((await systemd.status(instance)).state).toBe("stopped");
    });

    test.each([
      ["a variable that is the shell's own", { env: { IFS: "x", MARK: "axb" } }],
      ["more than a pipe takes", { env: { LONG: "x".repeat(100_000), MARK: "axb" } }],
      ["a stop timeout of its own", { stopTimeout: 9_000, env: { MARK: "axb" } }],
    ] as [string, Partial<Instance>][])("%s: it is started without what was prepared", async (_, more) => {
      const instance = await shop.instance('echo $MARK >"$SHARED/mark"; exec sleep 1000', more);
      if (more.stopTimeout)
        await systemd.setup({ ...instance, base: places(instance.app).base, stopTimeout: 5_000 }, io);
      const pid = await waiting(instance);
      await systemd.start(instance, io);
      expect((await systemd.status(instance)).pid).not.toBe(pid);
      const mark = join(places(instance.app).shared, "mark");
      await until("it has written", () => existsSync(mark) && readFileSync(mark, "utf8") === "axb\n");
    });

    test("a unit that was renewed meanwhile has its new sandbox", async () => {
      const instance = await shop.instance("sleep 1000");
      const path = `/etc/systemd/system/${instance.app}@.service`;
      writeFileSync(path, readFileSync(path, "utf8").replace("TasksMax=4096", "TasksMax=17"));
      Bun.spawnSync(["systemctl", "daemon-reload"]);
      const pid = await waiting(instance);
      await systemd.start(instance, io);
      expect((await systemd.status(instance)).pid).not.toBe(pid);
      const unit = `${instance.app}@${instance.id}.service`;
      expect(printed(unit, ["TasksMax"])).toEqual({ TasksMax: "4096" });
    });

    test("a unit with settings of the operator is started when all is there, and not before", async () => {
      const instance = await shop.instance("sleep 1000");
      const folder = `/etc/systemd/system/${instance.app}@.service.d`;
      mkdirSync(folder);
      // By these it would not count as started before it has said so.
      writeFileSync(join(folder, "own.conf"), "[Service]\nType=notify\nNotifyAccess=all\n");
      Bun.spawnSync(["systemctl", "daemon-reload"]);
      systemd.prepare!(instance);
      expect(await leaveEarly(instance)).toBe(false);
      expect((await systemd.status(instance)).state).toBe("stopped");
      writeFileSync(
        join(folder, "own.conf"),
        "[Service]\nExecStartPre=/bin/touch %t/never %S/never\nPermissionsStartOnly=no\n",
      );
      rmSync(folder, { recursive: true });
      Bun.spawnSync(["systemctl", "daemon-reload"]);
    });

    test("a release without a folder is not prepared, and a waiting process that was killed is started", async () => {
      const instance = await shop.instance("sleep 1000");
      systemd.prepare!({ ...instance, id: "2-bbbbbbb" });
      await systemd.stop({ ...instance, id: "2-bbbbbbb" }, io);
      expect(readdirSync(places(instance.app).base)).not.toContain("instances");
      const pid = await waiting(instance);
      process.kill(pid, "SIGKILL");
      await until("it is gone", () => !existsSync(`/proc/${pid}`));
      await systemd.start(instance, io);
      await until("it runs", async () => (await systemd.pids(instance)).length > 0);
      expect(await systemd.status(instance)).toMatchObject({ state: "running", restarts: 0 });
    });
  });

  test("asked about many apps at once, systemd is asked about all, and each gets its own instances", async () => {
    const web = await shop.instance("sleep 1000");
    const job = await shop.instance("sleep 1000", { app: web.app, id: "1-aaaaaaa.cron.tidy" });
    for (const instance of [web, job]) await systemd.start(instance, io);
    const others = Array.from({ length: 120 }, (_, at) => `${web.app.slice(0, 6)}-${at}`);
    const [own, ...rest] = await Promise.all([web.app, ...others].map((app) => systemd.instances(app)));
    expect([own, new Set(rest.flat())]).toEqual([["1-aaaaaaa", "1-aaaaaaa.cron.tidy"], new Set()]);
  });

  test("systemd has nothing to say against the unit", async () => {
    const { app } = await shop.instance("sleep 1000");
    const verify = Bun.spawnSync(["systemd-analyze", "verify", `/etc/systemd/system/${app}@1-aaaaaaa.service`]);
    expect([verify.exitCode, verify.stderr.toString()]).toEqual([0, ""]);
  });

  test("setup writes the unit once, and again when it differs", async () => {
    const { app } = await shop.instance("sleep 1000");
    const managed = { app, base: places(app).base, user: USER, stopTimeout: 5_000 };
    const path = `/etc/systemd/system/${app}@.service`;
    expect(await systemd.setup(managed, io)).toEqual([]);
    const jobs = `/etc/systemd/system/${app}.cron@.service`;
    expect(await systemd.setup({ ...managed, stopTimeout: 7_000 }, io)).toEqual([`wrote ${path}`, `wrote ${jobs}`]);
    expect(readFileSync(path, "utf8")).toContain("TimeoutStopSec=7000ms");
    expect(statSync(path).mode & 0o777).toBe(0o644);
  });

  test("a unit of the server that systemd was never told of, or half, is told at the next look", async () => {
    const [name, path] = ["dp-untold.service", "/etc/systemd/system/dp-untold.service"];
    const text = (seconds: number) =>
      `[Service]\nExecStart=/bin/sleep ${seconds}\n[Install]\nWantedBy=multi-user.target\n`;
    const setUp = (seconds: number, isRunning = true) => setUpDaemon({ [name]: text(seconds) }, isRunning, [], io);
    const systemctl = (...words: string[]) =>
      Bun.spawnSync(["systemctl", ...words, name])
        .stdout.toString()
        .trim();
    try {
      expect(await setUp(1_000, false)).toEqual([`wrote ${path}`]);
      expect(await setUp(1_000)).toEqual([]);
      writeFileSync(path, text(2_000)); // and whoever wrote it was ended
      expect(await setUp(2_000)).toEqual([`told systemd about ${path}`]);
      expect(systemctl("show", "--property=ExecStart")).toContain("sleep 2000");
      systemctl("disable");
      expect(await setUp(2_000)).toEqual([`told systemd about ${path}`]);
      expect([systemctl("is-enabled"), await setUp(2_000)]).toEqual(["enabled", []]);
    } finally {
      systemctl("disable", "--now");
      rmSync(path);
    }
  });

  /** What systemctl prints of a unit. */
  const printed = (unit: string, names: readonly string[]) => {
    const argv = ["systemctl", "show", `--property=${names.join(",")}`, "--", unit];
    const { stdout } = Bun.spawnSync(argv, { env: { PATH: "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" } });
    const lines = stdout.toString().trim().split("\n");
    return Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
    );
  };

  test("over the bus systemd answers as systemctl does", async () => {
    const names = ["ActiveState", "SubState", "MainPID", "NRestarts", "ExecMainCode", "ExecMainStatus", "Result"];
    names.push("ExecMainStartTimestamp", "ExecMainStartTimestampMonotonic", "ControlGroup", "NeedDaemonReload");
    names.push("UnitFileState", "LoadState", "Job");
    const running = await shop.instance("sleep 1000");
    await systemd.start(running, io);
    const ended = await shop.instance("exit 3", { app: `${running.app}-ends` });
    await systemd.start(ended, io).catch(() => undefined);
    const units = [running, ended].map(({ app, id }) => `${app}@${id}.service`);
    await until("the second one rests", async () => (await systemd.status(ended)).state !== "running");
    Bun.spawnSync(["systemctl", "stop", units[1]!]);
    for (const unit of [...units, `${running.app}@7-7777777.service`, "ssh.service", "no-such.service"])
      expect((await askProperties([unit], names))?.get(unit)).toEqual(printed(unit, names));
    expect(await askUnits(["active"], [`${running.app}@*.service`, "no-such*"])).toEqual([units[0]!]);
    expect(await askUnits(["failed"], [`${running.app}@*.service`])).toEqual([]);
  });

  /** A unit of this name that runs a command. */
  const writeUnit = (name: string, ...lines: string[]) => {
    writeFileSync(`/run/systemd/system/${name}`, ["[Service]", "Type=exec", ...lines, ""].join("\n"));
    Bun.spawnSync(["systemctl", "daemon-reload"]);
  };
  const stateOf = async (unit: string) => (await askProperties([unit], ["ActiveState"]))?.get(unit)?.["ActiveState"];

  test("a job over the bus ends when systemd has done it, however quick, and however many there are", async () => {
    const units = Array.from({ length: 12 }, (_, at) => `dp-job-${at}.service`);
    for (const unit of units) writeUnit(unit, "ExecStart=/bin/sleep 1000");
    for (let time = 0; time < 5; time++) {
      const started = await Promise.all(units.map((unit) => doJob("StartUnit", unit, io.signal)));
      expect(await Promise.all(units.map(stateOf))).toEqual(units.map(() => "active"));
      const again = await doJob("StartUnit", units[0]!, io.signal); // it has ended before systemd says which job it is
      const stopped = await Promise.all(units.map((unit) => doJob("StopUnit", unit, io.signal)));
      expect(await Promise.all(units.map(stateOf))).toEqual(units.map(() => "inactive"));
      expect([...started, again, ...stopped]).not.toContain(false);
    }
    for (const unit of units) rmSync(`/run/systemd/system/${unit}`);
  });

  test("a job that is not done, or of no unit, is systemctl's to explain", async () => {
    writeUnit("dp-job-fails.service", "ExecStart=/nonexistent");
    expect(await doJob("StartUnit", "dp-job-fails.service", io.signal)).toBe(false);
    expect(await resetFailed("dp-job-fails.service")).toBe(true);
    expect(await stateOf("dp-job-fails.service")).toBe("inactive");
    expect(await doJob("StartUnit", "dp-no-job.service", io.signal)).toBe(false);
    rmSync("/run/systemd/system/dp-job-fails.service");
  });

  test("a job is waited for while systemd starts anew, and left when that is called off", async () => {
    const name = "dp-job-slow.service";
    // Before its trap is set SIGTERM would end it at once.
    const sign = "/run/dp-job-slow";
    const waits = `ExecStart=/bin/sh -c 'trap "sleep 3; exit 0" TERM; : >${sign}; while :; do sleep 0.1; done'`;
    const ready = async () => {
      await until("its trap is set", () => existsSync(sign));
      rmSync(sign);
    };
    writeUnit(name, "KillMode=mixed", waits);
    expect(await doJob("StartUnit", name, io.signal)).toBe(true);
    await ready();
    const stopped = doJob("StopUnit", name, io.signal);
    await until("it is about to stop", async () => (await stateOf(name)) === "deactivating");
    Bun.spawnSync(["systemctl", "daemon-reexec"]);
    await stopped; // true, or false where the signal was lost
    expect(await stateOf(name)).toBe("inactive");
    await doJob("StartUnit", name, io.signal);
    await ready();
    const leaver = new AbortController();
    const left = doJob("StopUnit", name, leaver.signal);
    await until("it is about to stop", async () => (await stateOf(name)) === "deactivating");
    leaver.abort(new DpError("interrupted", "stopped by SIGINT"));
    await expect(left).rejects.toThrow("stopped by SIGINT");
    expect(await stateOf(name)).toBe("deactivating");
    Bun.spawnSync(["systemctl", "kill", "--signal=SIGKILL", name]);
    rmSync(`/run/systemd/system/${name}`);
  });

  test("without the bus systemctl is asked, and nobody waits", async () => {
    const instance = await shop.instance("sleep 1000");
    await systemd.start(instance, io);
    const lines = `const { default: systemd } = await import("${join(import.meta.dir, "../../lib/managers/systemd.ts")}");
      const name = ${JSON.stringify({ app: instance.app, id: instance.id })};
      console.log(JSON.stringify([await systemd.status(name), await systemd.instances(name.app)]));`;
    const acts = `const { default: systemd } = await import("${join(import.meta.dir, "../../lib/managers/systemd.ts")}");
      const { makeIo, silentLog } = await import("${join(import.meta.dir, "../../lib/host/io.ts")}");
      const instance = ${JSON.stringify(instance)};
      for (const what of ["stop", "start"]) await systemd[what](instance, makeIo(silentLog));`;
    const asked = () => Bun.spawnSync([process.execPath, "-e", lines]).stdout.toString();
    const before = asked();
    expect(JSON.parse(before)).toMatchObject([{ state: "running" }, [instance.id]]);
    renameSync(SYSTEM_BUS, `${SYSTEM_BUS}.away`);
    try {
      expect(asked()).toBe(before);
      const { exitCode, stderr } = Bun.spawnSync([process.execPath, "-e", acts]);
      expect([exitCode, stderr.toString()]).toEqual([0, ""]);
    } finally {
      renameSync(`${SYSTEM_BUS}.away`, SYSTEM_BUS);
    }
    expect((await systemd.status(instance)).pid).not.toBe(JSON.parse(before)[0].pid);
  });

  test("a unit of somebody else is not replaced", async () => {
    const { app } = await shop.instance("sleep 1000");
    const managed = { app, base: places(app).base, user: USER, stopTimeout: 5_000 };
    const own = `/etc/systemd/system/${app}@.service`;
    writeFileSync(own, "[Service]\nExecStart=/bin/true\n");
    await expect(systemd.setup(managed, io)).rejects.toThrow(`${own} is a unit that dp did not write`);
    expect(readFileSync(own, "utf8")).toBe("[Service]\nExecStart=/bin/true\n");
    rmSync(own);
    const packaged = `/usr/lib/systemd/system/${app}@.service`;
    writeFileSync(packaged, "[Service]\nExecStart=/bin/true\n");
    await expect(systemd.setup(managed, io)).rejects.toThrow("is a unit that dp did not write");
    expect(existsSync(own)).toBe(false);
    rmSync(packaged);
  });

  test("an app without its unit: start names the command that writes it", async () => {
    const instance = await shop.instance("sleep 1000");
    rmSync(`/etc/systemd/system/${instance.app}@.service`);
    Bun.spawnSync(["systemctl", "daemon-reload"]);
    const error = await systemd.start(instance, io).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DpError);
    expect(error).toMatchObject({ exit: "command", hint: `dp setup ${instance.app}` });
  });

  test("a folder that the app's user cannot enter is the reason that start gives", async () => {
    const instance = await shop.instance("sleep 1000");
    Bun.spawnSync(["chmod", "700", instance.folder]);
    await expect(systemd.start(instance, io)).rejects.toThrow("its folder cannot be entered");
    expect((await systemd.status(instance)).state).toBe("stopped");
  });

  test("an app that ends before systemd calls it started has its own end: code and last words", async () => {
    const instance = await shop.instance("echo no settings; exit 3");
    // systemd calls units of this type started when they have ended, as it does others when it is late.
    const folder = `/etc/systemd/system/${instance.app}@.service.d`;
    mkdirSync(folder);
    writeFileSync(`${folder}/late.conf`, "[Service]\nType=oneshot\nRestart=on-failure\n");
    Bun.spawnSync(["systemctl", "daemon-reload"]);
    try {
      for (let time = 1; time <= 2; time++) {
        await systemd.start(instance, io);
        const died = waitUntilUp({ instance, check: { stayUp: 60_000 } }, systemd, io);
        const error = await died.catch((thrown: unknown) => thrown as DpError);
        expect(error).toMatchObject({
          message: `${instance.app}@1-aaaaaaa is not running: exited with code 3`,
          lines: expect.arrayContaining(["no settings"]),
        });
      }
      Bun.spawnSync(["chmod", "700", instance.folder]);
      await expect(systemd.start(instance, io)).rejects.toThrow("its folder cannot be entered");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("a change of the unit reaches the next start, even if the reload was missed", async () => {
    const instance = await shop.instance("sleep 1000");
    await systemd.start(instance, io);
    const path = `/etc/systemd/system/${instance.app}@.service`;
    writeFileSync(path, readFileSync(path, "utf8").replace("TimeoutStopSec=5000ms", "TimeoutStopSec=7000ms"));
    await systemd.start({ ...instance, stopTimeout: 7_000 }, io);
    const shown = Bun.spawnSync(["systemctl", "show", "-p", "TimeoutStopUSec", `${instance.app}@1-aaaaaaa`]);
    expect(shown.stdout.toString()).toBe("TimeoutStopUSec=7s\n");
  });

  test("boot links: exactly the enabled one, and nobody else's", async () => {
    const { app } = await shop.instance("sleep 1000");
    await shop.instance("sleep 1000", { app: `${app}-two` });
    await systemd.enable(`${app}-two`, ["9-fffffff"], io);
    for (const id of ["1-aaaaaaa", "2-bbbbbbb"]) await systemd.enable(app, [id], io);
    const links = () =>
      readdirSync(WANTS)
        .filter((name) => name.startsWith(app))
        .sort();
    expect(links()).toEqual([`${app}-two@9-fffffff.service`, `${app}@2-bbbbbbb.service`]);
    await systemd.enable(app, [], io);
    expect(links()).toEqual([`${app}-two@9-fffffff.service`]);
  });

  test("the output is the app's own, without systemd's remarks", async () => {
    const instance = await shop.instance("echo one; echo two; exec sleep 1000");
    await systemd.start(instance, io);
    await until("its output", async () => (await outputOf(systemd, instance)).length === 2);
    expect(await outputOf(systemd, instance)).toEqual(["one", "two"]);
  });

  test("the sandbox: what an app can reach, and what it cannot", async () => {
    const other = await shop.instance("sleep 1000");
    const theirs = places(other.app);
    writeFileSync(`${theirs.base}/open`, "for everyone");
    const script = `
      try() { name=$1; shift; if "$@" >/dev/null 2>&1; then echo "$name: yes"; else echo "$name: no"; fi; }
      {
        try "write shared" touch "$SHARED/x"
        try "write home" touch "$BASE/home/x"
        try "write /tmp" touch /tmp/x
        try "read release" cat ./code
        try "write release" touch ./x
        try "write base" touch "$BASE/x"
        try "write /etc" touch /etc/x
        try "read own env file" cat "$BASE/instances/1-aaaaaaa.env"
        try "list runs" ls "$BASE/runs/"
        try "read other app" cat ${theirs.base}/open
        try "see other app" test -e ${theirs.base}
        try "list logs" ls /var/log/deployments/
        try "list repositories" ls /var/repos/
        try "list /root" ls /root/
        try "unshare" unshare --user true
        try "see PID 1" test -e /proc/1
        try "look up a name" getent hosts localhost
        try "run python" python3 -c 'import socket, os; socket.socket(); os.cpu_count()'
      } > "$SHARED/report.part"
      mv "$SHARED/report.part" "$SHARED/report"; exec sleep 1000`;
    const instance = await shop.instance(script);
    const own = places(instance.app);
    // Wide open, so that it is the sandbox that refuses and not the mode.
    for (const folder of [own.runs, "/var/log/deployments", "/var/repos"])
      mkdirSync(folder, { recursive: true, mode: 0o755 });
    writeFileSync(`${own.runs}/1-aaaaaaa.json`, "{}");
    Bun.spawnSync(["chmod", "-R", "a+rwX", own.releases]);
    writeFileSync(`${instance.folder}/code`, "code");
    await systemd.start({ ...instance, env: { ...instance.env, BASE: own.base } }, io);
    await until("the report", () => existsSync(`${own.shared}/report`));
    const report = Object.fromEntries(
      readFileSync(`${own.shared}/report`, "utf8")
        .trim()
        .split("\n")
        .map((line) => line.split(": ") as [string, string]),
    );
    const yes = ["write shared", "write home", "write /tmp", "read release", "look up a name", "run python"];
    expect(
      Object.keys(report)
        .filter((name) => report[name] === "yes")
        .sort(),
    ).toEqual(yes.sort());
    expect(Object.keys(report).length).toBe(18);
  });

  test("secrets lie in a file for root alone", async () => {
    const instance = await shop.instance("sleep 1000");
    await systemd.start(instance, io);
    const { instances } = places(instance.app);
    const facts = ["env", "sh"].map((ending) => {
      const { mode, uid } = statSync(`${instances}/1-aaaaaaa.${ending}`);
      return [ending, (mode & 0o777).toString(8), uid];
    });
    expect(facts).toEqual([
      ["env", "600", 0],
      ["sh", "640", 0],
    ]);
  });
};

// Elsewhere these tests are not skipped: the one above runs them in the server.
if (isInside) describe("inside", inside);
