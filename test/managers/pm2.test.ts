import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { makeIo, silentLog } from "../../lib/host/io.ts";
import pm2Entry, { makePm2 } from "../../lib/managers/pm2.ts";
import type { Instance, Manager } from "../../lib/contracts/manager.ts";
import { places } from "../../lib/paths.ts";
import { filesOf, homeOf, ownerOf, processName } from "../../lib/managers/pm2/home.ts";
import { listed, listing } from "../../lib/managers/pm2/listing.ts";
import { runPm2 } from "../../lib/managers/pm2/program.ts";
import { listener } from "../../lib/host/process/process.ts";
import { isAlive, processEntry, startTime } from "../../lib/host/process/process.ts";
import { freePort } from "../support/core-server.ts";
import { pm2Folder, pm2Unavailable } from "../support/pm2.ts";
import { pidsWith } from "../support/sandbox.ts";
import { managerContract, outputOf, until, workshop } from "./contract.ts";

// pm2's command takes a second each time, and many on a busy machine.
setDefaultTimeout(60_000);

const why = pm2Unavailable();
// An account of every Linux whose group has its name, as the users of apps have.
const user = process.getuid!() === 0 ? "daemon" : undefined;
const before = process.env["DP_ROOT"];
const io = makeIo(silentLog);
const LONG = 60_000;
let folder: string;
let path: string;
let pm2: Manager;

const CLUSTER = `
const fs = require("node:fs");
const http = require("node:http");
const { NODE_APP_INSTANCE: worker, PORT, LINES, SHARED } = process.env;
const server = http.createServer((request, response) => {
  if (request.url === "/env") return response.end(JSON.stringify(process.env));
  if (request.url === "/crash") {
    console.log("last words");
    process.exit(3);
  }
  if (request.url === "/print") console.log("one\\ntwo");
  response.end(process.pid + " " + process.argv.slice(2).join(","));
});
server.listen(PORT, "127.0.0.1");
function print(at) {
  for (let one = 0; one < 50 && at <= LINES; one++, at++) console.log(worker + " " + at + " " + "-".repeat(1_000));
  if (at <= LINES) return setImmediate(print, at);
  fs.writeFileSync(SHARED + "/over." + worker, "");
}
print(1);
`;

describe.skipIf(why !== null)(`pm2${why === null ? "" : ` (skipped: ${why})`}`, () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "dp-pm2-"));
    chmodSync(folder, 0o755);
    process.env["DP_ROOT"] = folder;
    // Where the app's user can read it; its links stay relative, for what they would else lead to may be root's alone.
    const tools = { recursive: true, verbatimSymlinks: true };
    cpSync(resolve(dirname(await pm2Folder()), ".."), join(folder, "tools"), tools);
    path = `${join(folder, "tools/node_modules/.bin")}:/usr/local/bin:/usr/bin:/bin`;
    pm2 = makePm2(20, path);
  }, 120_000);

  afterAll(async () => {
    await until("nothing of it runs", () => pidsWith(folder).length === 0);
    if (before === undefined) delete process.env["DP_ROOT"];
    else process.env["DP_ROOT"] = before;
    rmSync(folder, { recursive: true });
  }, LONG);

  describe("the contract", () => managerContract(() => ({ manager: pm2, user })));

  describe("the process of a release", () => {
    const shop = workshop(() => ({ manager: pm2, user }));
    afterEach(() => shop.clean(), LONG);
    const start = async (command: string, more: Partial<Instance> = {}) => {
      const instance = await shop.instance(command, more);
      await pm2.start(instance, io);
      return instance;
    };
    /** All that the instance said, with the times. */
    const timed = async (instance: Instance) => {
      const lines: [string, string | null | undefined][] = [];
      await pm2.logs(
        instance,
        { lines: 100, follow: false, onLine: (line, time) => void lines.push([line, time]) },
        io,
      );
      return lines;
    };
    const entryOf = async (instance: Instance) => (await listed(instance))![0]!;
    const daemonOf = (app: string) => Number(readFileSync(homeOf(app).pidFile, "utf8"));
    const readDump = (app: string) => JSON.parse(readFileSync(homeOf(app).dump, "utf8")) as { name: string }[];
    /** Whether anything below PM2_HOME, or the environment of the daemon, has the text. */
    const isKept = (app: string, text: string) =>
      Bun.spawnSync(["grep", "-rqF", "--", text, homeOf(app).folder]).exitCode === 0 ||
      readFileSync(`/proc/${daemonOf(app)}/environ`, "latin1").includes(text);

    test("each line has its time, and what it said last before a crash is there", async () => {
      const began = Date.now() - 1_000;
      const instance = await start("echo one; echo two >&2; printf 'three\\nfour'; exit 3");
      await until("it failed", async () => (await pm2.status(instance)).state === "failed");
      const lines = await timed(instance);
      expect(lines.slice(-4).map(([line]) => line)).toEqual(["one", "two", "three", "four"]);
      for (const [, time] of lines.slice(-4)) {
        expect(Date.parse(time!)).toBeGreaterThanOrEqual(began);
        expect(Date.parse(time!)).toBeLessThanOrEqual(Date.now());
      }
    });

    test("an app that prints all the time outlives the daemon, and whoever tells the times", async () => {
      const instance = await start("while sleep 0.01; do echo line; done");
      const stampers = () => pidsWith(`stamper\0${filesOf(instance).log}`);
      const [stamper] = (await until("what tells the times", () => stampers().length > 0 && stampers())) as number[];
      // Until then it looks for a program that can, and would take the killed one for one that cannot.
      await until("the first line", async () => (await timed(instance)).length > 0);
      process.kill(daemonOf(instance.app), "SIGKILL");
      for (const own of pidsWith("strftime").filter((pid) => processEntry(pid)?.parent === stamper))
        process.kill(own, "SIGKILL");
      const size = () => statSync(filesOf(instance).log).size;
      const before = size();
      await until("more lines", () => size() > before + 200);
      expect((await timed(instance)).every(([line, time]) => line === "line" && time !== null)).toBe(true);
      await pm2.stop(instance, io);
      expect([await pm2.pids(instance), stampers()]).toEqual([[], []]);
    });

    test("its log is two files of 10 MiB at most, read as one, and both go with the release", async () => {
      const instance = await start(`seq -f "%.0f ${"-".repeat(1_000)}" 24000; echo over; exec sleep 1000`);
      const { log, older } = filesOf(instance);
      const said = async (lines: number) => (await outputOf(pm2, instance, lines)).map((line) => line.split(" ")[0]);
      await until("all is said", async () => (await said(1))[0] === "over");
      const limit = 10 * 1024 * 1024;
      expect(statSync(log).size).toBeLessThan(limit);
      expect(statSync(older).size).toBeGreaterThanOrEqual(limit);
      expect(statSync(older).size).toBeLessThan(limit + 2_000);
      expect(await said(12_001)).toEqual([...Array.from({ length: 12_000 }, (_, at) => `${12_001 + at}`), "over"]);
      await pm2.stop(instance, io);
      rmSync(instance.folder, { recursive: true });
      await pm2.forget(instance, io);
      expect([existsSync(log), existsSync(older)]).toEqual([false, false]);
    });

    test("is called APP-ID, and stands in the release, not in current", async () => {
      const instance = await start("sleep 1000");
      const { name, pm2_env } = await entryOf(instance);
      expect(name).toBe(`${instance.app}-1-aaaaaaa`);
      expect(pm2_env).toMatchObject({ pm_cwd: instance.folder, exec_mode: "fork_mode" });
    });

    test("gets its environment and nothing else: none of dp's, none of pm2's", async () => {
      process.env["DP_TEST_LEAK"] = "leaked";
      const env = { SECRET: "for one pair of eyes", name: "mine", status: "also mine" };
      const instance = await start('env -0 > "$SHARED/env.part" && mv "$SHARED/env.part" "$SHARED/env"; sleep 1000', {
        env,
      });
      delete process.env["DP_TEST_LEAK"];
      const file = `${places(instance.app).shared}/env`;
      await until("the environment is written", () => existsSync(file));
      const seen = readFileSync(file, "utf8").split("\0").filter(Boolean);
      const names = seen.map((entry) => entry.split("=", 1)[0]!);
      // The last four are sh's own.
      const known = [...Object.keys(instance.env), "DP_INSTANCE", "PWD", "OLDPWD", "SHLVL", "_"];
      expect(names.filter((name) => !known.includes(name))).toEqual([]);
      expect(seen).toContain("name=mine");
      await pm2.enable(instance.app, [instance.id], io);
      expect(isKept(instance.app, "for one pair of eyes")).toBe(false);
      expect(isKept(instance.app, "leaked")).toBe(false);
    });

    test(
      "the dump names exactly the enabled instance, and only its user can read it",
      async () => {
        const first = await start("sleep 1000");
        const second = await start("sleep 1000", { app: first.app, id: "2-bbbbbbb" });
        await pm2.enable(first.app, [first.id], io);
        expect(readDump(first.app).map(({ name }) => name)).toEqual([processName(first)]);
        await pm2.enable(first.app, [second.id], io);
        expect(readDump(first.app).map(({ name }) => name)).toEqual([processName(second)]);
        const stat = statSync(homeOf(first.app).dump);
        expect([stat.mode & 0o777, stat.uid]).toEqual([0o600, ownerOf(first.app).uid]);
      },
      LONG,
    );

    test(
      "pm2 resurrect brings the enabled one back, and a crash of it is counted from the start",
      async () => {
        const instance = await start("sleep 1000");
        const { app, id } = instance;
        await start("sleep 1001", { app, id: "2-bbbbbbb" });
        await pm2.enable(app, [id], io);
        await runPm2(app, ["kill"], path, io);
        await until("nothing runs", async () => (await pm2.pids(instance)).length === 0);
        await runPm2(app, ["resurrect"], path, io);
        await until("it runs", async () => (await pm2.status(instance)).state === "running");
        // The other one was under way, and is missed: the daemon went without dp.
        expect(await pm2.status({ app, id: "2-bbbbbbb" })).toMatchObject({ state: "failed" });
        expect((await listing(app))!.map(({ name }) => name)).toEqual([processName(instance)]);
        process.kill((await pm2.status(instance)).pid!, "SIGKILL");
        await until("again", async () => {
          const { state, restarts } = await pm2.status(instance);
          return state === "running" && restarts === 1;
        });
      },
      LONG,
    );

    test(
      "what else runs in that pm2 stays, and so does its entry in the dump",
      async () => {
        const instance = await start("sleep 1000");
        const { app } = instance;
        await runPm2(app, ["start", "/bin/sleep", "--name", "other", "--interpreter", "none", "--", "1002"], path, io);
        await runPm2(app, ["save"], path, io);
        const other = async () => (await listing(app))!.find(({ name }) => name === "other");
        const pid = (await other())!.pid;
        await pm2.enable(app, [instance.id], io);
        expect(
          readDump(app)
            .map(({ name }) => name)
            .sort(),
        ).toEqual(["other", processName(instance)].sort());
        await pm2.stop(instance, io);
        await pm2.enable(app, [], io);
        await pm2.forget(instance, io);
        expect((await other())?.pid).toBe(pid);
        expect(isAlive(pid)).toBe(true);
        expect(readDump(app).map(({ name }) => name)).toEqual(["other"]);
        expect(await pm2.instances(app)).toEqual([]);
        await runPm2(app, ["delete", "other"], path, io);
        await runPm2(app, ["save", "--force"], path, io);
      },
      LONG,
    );

    test("a daemon that has nothing to do is ended", async () => {
      const instance = await start("sleep 1000");
      const daemon = daemonOf(instance.app);
      await pm2.stop(instance, io);
      expect(isAlive(daemon)).toBe(true);
      await pm2.enable(instance.app, [], io);
      await until("it ends", () => !isAlive(daemon));
      expect(await listing(instance.app)).toBeNull();
    });

    test(
      "a killed daemon: status says so, and start replaces what runs on",
      async () => {
        const instance = await start("(setsid sleep 1001 &); exec sleep 1002");
        await until("two processes", async () => (await pm2.pids(instance)).length === 2);
        const pids = await pm2.pids(instance);
        const known = pids.map((pid) => ({ pid, startTime: startTime(pid)! }));
        process.kill(daemonOf(instance.app), "SIGKILL");
        await until("no daemon", async () => (await listing(instance.app)) === null);
        const { state, detail } = await pm2.status(instance);
        expect(state).toBe("failed");
        expect(detail).toMatch(/the daemon of pm2 was killed, and it still runs unsupervised as pid \d+/);
        expect(await pm2.instances(instance.app)).toEqual([instance.id]);
        expect((await pm2.pids(instance)).sort()).toEqual(pids.sort());
        await pm2.start(instance, io);
        expect(known.filter(({ pid, startTime }) => isAlive(pid, startTime))).toEqual([]);
        expect(await pm2.status(instance)).toMatchObject({ state: "running", restarts: 0, detail: "" });
      },
      LONG,
    );

    test(
      "a killed daemon whose app is gone too is a failure, until it is stopped",
      async () => {
        const instance = await start("exec sleep 1002");
        const { pid } = await pm2.status(instance);
        process.kill(daemonOf(instance.app), "SIGKILL");
        process.kill(pid!, "SIGKILL");
        await until("nothing runs", async () => (await pm2.pids(instance)).length === 0);
        expect(await pm2.status(instance)).toMatchObject({ state: "failed", detail: "the daemon of pm2 was killed" });
        await pm2.stop(instance, io);
        expect((await pm2.status(instance)).state).toBe("stopped");
      },
      LONG,
    );

    test(
      "output is complete however fast the app ends, and in order",
      async () => {
        const instance = await start("seq 1 2000; echo end >&2; exit 3");
        await until("failed", async () => (await pm2.status(instance)).state === "failed");
        const lines = await outputOf(pm2, instance, 2001);
        expect([lines.length, lines[0], lines[1999], lines[2000]]).toEqual([2001, "1", "2000", "end"]);
      },
      LONG,
    );

    test(
      "an app that ends with the watcher's own number for success has failed all the same",
      async () => {
        const instance = await start("exit 200");
        await until("failed", async () => (await pm2.status(instance)).state === "failed");
      },
      LONG,
    );

    test(
      "pm2's own words come with its failure",
      async () => {
        const instance = await shop.instance("sleep 1000");
        // Its folder is not to be written: as after a wrong chown.
        rmSync(homeOf(instance.app).folder, { recursive: true, force: true });
        writeFileSync(homeOf(instance.app).folder, "in the way");
        const error = (await pm2.start(instance, io).catch((thrown: unknown) => thrown)) as { lines: string[] };
        expect(error).toMatchObject({
          exit: "command",
          message: expect.stringMatching(/^pm2 (resurrect|start) .*exited with/),
        });
        expect(error.lines.length).toBeGreaterThan(0);
        rmSync(homeOf(instance.app).folder);
      },
      LONG,
    );

    describe("in cluster mode", () => {
      const cluster = async (more: Partial<Instance> = {}) => {
        const port = await freePort();
        const env = { ...more.env, PORT: String(port) };
        const instance = await shop.instance('node server.js one "two three"', { workers: 2, ...more, env });
        writeFileSync(join(instance.folder, "server.js"), CLUSTER);
        await pm2.start(instance, io);
        const get = async (at: string) => {
          // A connection each: a kept one stays with its worker.
          const response = await fetch(`http://127.0.0.1:${port}${at}`, {
            keepalive: false,
            headers: { connection: "close" },
          });
          return response.text();
        };
        await until("it answers", () => get("/").catch(() => ""));
        return { instance, port, get };
      };

      test(
        "workers of node share the port, and the environment is as told",
        async () => {
          const { instance, port, get } = await cluster({
            env: { SPACES: " two  words ", DOLLAR: "$HOME", NEWLINE: "a\nb\n" },
          });
          const answers = new Set<string>();
          await until("both answer", async () => answers.add(await get("/")).size === 2);
          expect([...answers].every((answer) => / one,two three$/.test(answer))).toBe(true);
          const seen = JSON.parse(await get("/env")) as Record<string, string>;
          for (const [name, value] of Object.entries(instance.env)) expect([name, seen[name]]).toEqual([name, value]);
          expect(seen["NODE_APP_INSTANCE"]).toMatch(/^[01]$/);
          expect(await pm2.status(instance)).toMatchObject({ state: "running", restarts: 0, detail: "" });
          // The daemon holds the socket for them, and so belongs to those that may answer.
          const own = await pm2.pids(instance);
          expect((await listener(port)).every(({ pid }) => own.includes(pid!))).toBe(true);
          const [first] = await listed(instance).then((list) => list!);
          await pm2.enable(instance.app, [instance.id], io);
          expect(readDump(instance.app).map(({ name }) => name)).toEqual([first!.name, first!.name]);
          expect(statSync(homeOf(instance.app).dump).mode & 0o777).toBe(0o600);
        },
        LONG,
      );

      test("what a worker prints at once has one time", async () => {
        const { instance, get } = await cluster();
        await get("/print");
        const lines = await until("what it printed", async () => {
          const all = await timed(instance);
          return all.some(([line]) => line === "two") && all;
        });
        const at = (lines as [string, string | null][]).findIndex(([line]) => line === "one");
        const [[, time], two] = (lines as [string, string | null][]).slice(at, at + 2) as [[string, string], unknown];
        expect(Math.abs(Date.parse(time) - Date.now())).toBeLessThan(LONG);
        expect(two).toEqual(["two", null]);
      });

      test(
        "the log of all workers is two files of 10 MiB, read as one, without a line lost, and both go with the release",
        async () => {
          const { instance } = await cluster({ env: { LINES: "9000" } });
          const { shared } = places(instance.app);
          await until("both are done", () => ["0", "1"].every((worker) => existsSync(`${shared}/over.${worker}`)));
          const { log, older, preload } = filesOf(instance);
          const limit = 10 * 1024 * 1024;
          expect(statSync(log).size).toBeLessThan(limit);
          expect(statSync(older).size).toBeGreaterThanOrEqual(limit);
          expect(statSync(older).size).toBeLessThan(limit * 1.5);
          expect(statSync(log).mode & 0o777).toBe(0o600);
          const lines = (await outputOf(pm2, instance, 20_000)).map((line) => line.split(" "));
          for (const worker of ["0", "1"]) {
            const own = lines.filter(([who, , dashes]) => who === worker && dashes === "-".repeat(1_000));
            expect(own.map(([, number]) => number)).toEqual(Array.from({ length: 9_000 }, (_, at) => `${at + 1}`));
          }
          expect(lines.length).toBe(18_000);
          await pm2.stop(instance, io);
          rmSync(instance.folder, { recursive: true });
          await pm2.forget(instance, io);
          expect([log, older, preload].filter(existsSync)).toEqual([]);
        },
        LONG,
      );

      test(
        "what a worker said last before it ended is there",
        async () => {
          const { instance, get } = await cluster();
          await get("/crash").catch(() => "");
          await until("again", async () => (await pm2.status(instance)).restarts === 1);
          expect((await timed(instance)).map(([line]) => line)).toContain("last words");
        },
        LONG,
      );

      test(
        "workers work without a log where none can be written",
        async () => {
          const { instance } = await cluster();
          const logs = dirname(filesOf(instance).log);
          chmodSync(logs, 0o500);
          const { get, instance: next } = await cluster({ app: instance.app, id: "2-bbbbbbb" });
          await get("/print");
          expect(await pm2.status(next)).toMatchObject({ state: "running", restarts: 0, detail: "" });
          expect(existsSync(filesOf(next).log)).toBe(false);
          chmodSync(logs, 0o700);
          await get("/print");
          expect((await timed(next)).map(([line]) => line)).toEqual(["one", "two"]);
        },
        LONG,
      );

      test(
        "a worker that dies is started again, and stop ends them and not the daemon",
        async () => {
          const { instance, get } = await cluster();
          const { app } = instance;
          const other = await start("sleep 1000", { app, id: "2-bbbbbbb" });
          process.kill((await pm2.status(instance)).pid!, "SIGKILL");
          await until("again", async () => (await pm2.status(instance)).restarts === 1);
          await until("both run", async () => (await listed(instance))!.every(({ pid }) => pid > 0));
          const workers = (await listed(instance))!.map(({ pid }) => ({ pid, startTime: startTime(pid)! }));
          await pm2.stop(instance, io);
          expect(workers.filter(({ pid, startTime }) => isAlive(pid, startTime))).toEqual([]);
          expect((await pm2.status(instance)).state).toBe("stopped");
          expect((await pm2.status(other)).state).toBe("running");
          await expect(get("/")).rejects.toThrow();
        },
        LONG,
      );

      test(
        "a script that cannot be loaded has failed",
        async () => {
          const instance = await shop.instance("node server.js", { workers: 2 });
          writeFileSync(join(instance.folder, "server.js"), "throw new Error('not today')\n");
          await pm2.start(instance, io);
          const failed = await until("failed", async () => {
            const now = await pm2.status(instance);
            return now.state === "failed" && now;
          });
          expect(failed).toMatchObject({ state: "failed", detail: "ended; pm2 does not report how" });
        },
        LONG,
      );
    });
  });

  test("a link in place of the daemon's socket is not followed", async () => {
    const app = "linked";
    mkdirSync(homeOf(app).folder, { recursive: true });
    const somebody = createServer((socket) => socket.end("you should not be here"));
    const asked = Promise.withResolvers<never>();
    somebody.on("connection", () => asked.reject(new Error("it was asked")));
    const target = join(folder, "somebody.sock");
    await new Promise<void>((listening) => somebody.listen(target, listening));
    symlinkSync(target, homeOf(app).rpc);
    try {
      expect(await Promise.race([listing(app), asked.promise])).toBeNull();
    } finally {
      somebody.close();
    }
  });

  test("a server without pm2, or without node, is told what to type", async () => {
    const empty = join(folder, "empty");
    mkdirSync(empty);
    expect(await pm2Entry.unavailable(empty)).toMatch(/^there is no node in .*empty.*apt install nodejs$/);
    symlinkSync(Bun.which("node")!, join(empty, "node"));
    expect(await pm2Entry.unavailable(empty)).toMatch(/^there is no pm2 in .*empty.*npm install --global pm2$/);
    expect(await pm2Entry.unavailable(path)).toBeNull();
  });

  test("a folder that is too deep for a socket is refused by setup", async () => {
    process.env["DP_ROOT"] = join(folder, "deep".repeat(15));
    try {
      const base = places("shop").base;
      await expect(pm2.setup({ app: "shop", base, user, stopTimeout: 1 }, io)).rejects.toThrow("too long for a socket");
    } finally {
      process.env["DP_ROOT"] = folder;
    }
  });

  test("a name that is no release never becomes a path", async () => {
    expect(() => filesOf({ app: "shop", id: "../../etc/1-aaaaaaa" })).toThrow("is not the name of an instance");
    await expect(pm2.status({ app: "../x", id: "1-aaaaaaa" })).rejects.toThrow("app name");
  });
});
