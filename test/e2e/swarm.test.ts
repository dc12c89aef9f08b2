// Apps in a Docker Swarm of one machine: what every manager does, by pushes and commands.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { baseFolder } from "../support/engine.ts";
import { machinesUnavailable, startMachines, type Machine, type Machines } from "../support/nodes.ts";
import { sandbox, until, type Sandbox } from "../support/sandbox.ts";
import { refusedPush, version } from "../support/swarm-app.ts";

const LIMIT = 300_000;
const why = machinesUnavailable();
if (why !== null) console.warn(`swarm: skipped, ${why}`);

let all: Machines;
let machine: Machine;
let box: Sandbox;

beforeAll(async () => {
  if (why !== null) return;
  all = await startMachines(1);
  machine = all.machines[0]!;
  box = await sandbox("shop", "relay", undefined, machine.inside);
  box.env["DOCKER_HOST"] = machine.variables("")["DOCKER_HOST"]!;
  await machine.import("base:shell", baseFolder(join(all.folder, "base")));
}, LIMIT);
afterAll(async () => {
  if (why !== null) return;
  await box?.stop();
  await all?.stop();
}, LIMIT);

const services = async () => (await machine.must("service", "ls", "--format", "{{.Name}}")).split("\n").filter(Boolean);
const must = async (...args: string[]) => {
  const done = await box.dp(...args);
  if (done.code !== 0) throw new Error(`dp ${args.join(" ")} exited with code ${done.code}:\n${done.text}`);
  return done.stdout;
};

describe.skipIf(why !== null)("a swarm of one", () => {
  test(
    "is made by dp, and refused before",
    async () => {
      const early = await box.dp("setup", "shop", "--manager", "swarm");
      expect([early.code, early.text]).toEqual([
        8,
        expect.stringContaining("this server is in no swarm: dp swarm init"),
      ]);
      const none = await box.dp("swarm");
      expect([none.code, none.text]).toEqual([8, expect.stringContaining("this server is in no swarm")]);
      expect((await box.dp("swarm", "invite")).code).toBe(8);
      const wrong = await box.dp("swarm", "init", "--address", "eth0");
      expect([wrong.code, wrong.text]).toEqual([2, expect.stringContaining("--address must be an IP address")]);
      expect(await must("swarm", "init", "--address", machine.address)).toContain("10.77.0.1, is a swarm of one");
      const again = await box.dp("swarm", "init");
      expect([again.code, again.text]).toEqual([8, expect.stringContaining("in a swarm already")]);
      expect(await must("swarm")).toMatch(/n1\s+10\.77\.0\.1\s+manager, leads\s+ready/);
      expect(await must("setup", "shop", "--manager", "swarm")).toContain("manager is now swarm, it was builtin");
      const text = readFileSync(join(box.code, "deploy.yml"), "utf8");
      await box.commit({ "deploy.yml": `${text}shared: {dirs: [uploads]}\n` });
      const shared = await box.push();
      expect([shared.code === 0, shared.text]).toEqual([
        false,
        expect.stringContaining("uploads is shared between releases, and an app of type python in a swarm has no such"),
      ]);
    },
    LIMIT,
  );

  test(
    "runs web and worker with the settings, and shows them",
    async () => {
      appendFileSync(join(box.base, "config.yml"), "swarm: {secrets: [TOKEN]}\n");
      await must("env", "shop", "set", "GREETING=hello  $you", "TOKEN=s3cret-value");
      await box.release(version("one"));
      expect(await box.answer()).toBe("one\n");
      expect(await box.answer("/settings")).toBe("hello  $you s3cret-value\n");
      const shown = await must("ps", "shop");
      expect(shown).toMatch(/^web\.1\s+running/m);
      expect(shown).toMatch(/^worker\.1\s+running/m);
      await until("the log", async () => (await must("logs", "shop")).includes("serving one"));
      expect(await must("logs", "shop", "worker")).toContain("working");
      expect(await must("status", "shop")).toContain("swarm");
      const spec = await machine.must("service", "inspect", ...(await services()));
      expect(spec).not.toContain("s3cret-value");
      expect(await must("run", "shop", "--", "cat", "say")).toBe("one\n");
    },
    LIMIT,
  );

  test(
    "goes to the next release, and keeps the live one when that is unhealthy, crashes, or its worker fails",
    async () => {
      await box.release(version("two"));
      expect(await box.answer()).toBe("two\n");
      const before = await services();
      expect(before.length).toBe(2);
      expect(await refusedPush(box, version("bad", { mode: "unhealthy" }), "two")).toContain("404");
      expect(await refusedPush(box, version("bad", { mode: "crash" }), "two")).toContain("boom: it does not start");
      const said = await refusedPush(box, version("bad", { worker: "echo no queue; exit 4" }), "two");
      expect(said).toContain("no queue");
      expect((await services()).length).toBe(2);
      expect(await must("ps", "shop")).toMatch(/^worker\.1\s+running/m);
      expect(await must("doctor", "shop")).not.toContain("error");
    },
    LIMIT,
  );

  test(
    "goes back by hand, changes a secret, scales, runs a job, stops and starts",
    async () => {
      await must("rollback", "shop");
      expect(await box.answer()).toBe("one\n");
      await must("env", "shop", "set", "TOKEN=another-value");
      expect(await box.answer("/settings")).toBe("hello  $you another-value\n");
      expect((await machine.must("secret", "ls", "--quiet")).split("\n").length).toBe(1);
      await must("scale", "shop", "worker=2");
      expect((await must("ps", "shop")).match(/^worker\.\d\s+running/gm)?.length).toBe(2);
      await must("cron", "run", "shop", "clean");
      expect(await must("logs", "shop", "cron.clean")).toContain("cleaned by one");
      await must("stop", "shop", "worker.2");
      expect(await must("ps", "shop")).toMatch(/^worker\.2\s+stopped/m);
      await must("start", "shop", "worker.2");
      expect(await must("ps", "shop")).toMatch(/^worker\.2\s+running/m);
    },
    LIMIT,
  );

  test(
    "refuses files that lie on one server, unless the process is tied to it",
    async () => {
      const files = version("three");
      const text = `${files["deploy.yml"]}shared: {dirs: [uploads]}\n`;
      expect(await refusedPush(box, { ...files, "deploy.yml": text }, "one")).toContain("lies on this server alone");
      const config = readFileSync(join(box.base, "config.yml"), "utf8");
      const place = "{web: node.hostname==n1, worker: node.hostname==n1, cron: node.hostname==n1}";
      appendFileSync(join(box.base, "config.yml"), "");
      await Bun.write(join(box.base, "config.yml"), config.replace("secrets:", `place: ${place}, secrets:`));
      const { code, text: said } = await box.push();
      expect([code, code === 0 ? "" : said]).toEqual([0, ""]);
      expect(await box.answer()).toBe("three\n");
    },
    LIMIT,
  );

  test(
    "serves again after a power cut",
    async () => {
      const before = await box.answer("/task");
      await all.cut(1);
      await box.cutPower();
      await all.start(1);
      await must("reconcile", "shop");
      // Docker starts the containers again by itself, and says that one runs before its program listens.
      await until("the live release", async () => (await box.answer()) === "three\n");
      expect(await box.answer("/task")).not.toBe(before);
      expect(await must("ps", "shop")).toMatch(/^worker\.1\s+running/m);
    },
    LIMIT,
  );

  test(
    "leaves nothing of a destroyed app",
    async () => {
      const said = await must("destroy", "shop", "--yes");
      expect(await services()).toEqual([]);
      expect(await machine.must("secret", "ls", "--quiet")).toBe("");
      expect(await machine.must("container", "ls", "--all", "--quiet", "--filter", "label=dp.app=shop")).toBe("");
      const networks = await machine.must("network", "ls", "--quiet", "--filter", "label=dp.app=shop");
      // Docker may have lost count of who is in it when the machine lost its power.
      if (!said.includes("left its network: ")) expect(networks).toBe("");
    },
    LIMIT,
  );
});
