// An app in a Docker Swarm of three machines: no request is lost by releases, good or bad, and a lost machine's tasks move.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { appendFileSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { baseFolder } from "../support/engine.ts";
import { machinesUnavailable, startMachines, type Machine, type Machines } from "../support/nodes.ts";
import { project, sandbox, until, type Sandbox } from "../support/sandbox.ts";
import { refusedPush, version } from "../support/swarm-app.ts";

const LIMIT = 400_000;
const why = machinesUnavailable();
if (why !== null) console.warn(`swarm of three: skipped, ${why}`);

let all: Machines;
let box: Sandbox;
let load: Load;
const first = () => all.machines[0]!;

beforeAll(async () => {
  if (why !== null) return;
  all = await startMachines(3);
  box = await sandbox("shop", "relay", undefined, () => first().inside());
  box.env["DOCKER_HOST"] = first().variables("")["DOCKER_HOST"]!;
  await first().import("base:shell", baseFolder(join(all.folder, "base")));
  for (const machine of all.machines) {
    const etc = join(rootOf(machine), "etc");
    mkdirSync(etc, { recursive: true });
    symlinkSync(join(machine.folder, "etc"), join(etc, "docker"));
  }
}, LIMIT);
afterAll(async () => {
  if (why !== null) return;
  await load?.stop();
  await box?.stop();
  await all?.stop();
}, LIMIT);

/** The DP_ROOT of a machine. */
const rootOf = (machine: Machine) => (machine === first() ? box.root : join(machine.folder, "root"));

const must = async (...args: string[]) => {
  const done = await box.dp(...args);
  if (done.code !== 0) throw new Error(`dp ${args.join(" ")} exited with code ${done.code}:\n${done.text}`);
  return done.stdout;
};

interface Seen {
  sent: number;
  failed: number;
  gap: number;
  slowest: number;
  bad: Record<string, number>;
  answers: Record<string, number>;
}
type Load = Awaited<ReturnType<typeof startLoad>>;

async function startLoad() {
  const argv = [process.execPath, join(project, "test/support/steady-load.ts"), `http://127.0.0.1:${box.port}/`, "50"];
  const child = Bun.spawn([...first().inside(), ...argv], {
    stdin: "pipe",
    stdout: "pipe",
    cwd: "/",
    env: { PATH: "/usr/bin:/bin" },
  });
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const look = async (): Promise<Seen> => {
    child.stdin.write("look\n");
    await child.stdin.flush();
    for (let text = ""; ;) {
      const { value, done } = await lines.read();
      text += value ?? "";
      if (text.includes("\n")) return JSON.parse(text) as Seen;
      if (done) throw new Error("the load has ended");
    }
  };
  const stop = async () => {
    child.kill();
    await child.exited;
  };
  return { look, stop };
}

/** What clients saw while something was done, told with the time that it took. */
async function during(what: string, action: () => Promise<unknown>): Promise<Seen> {
  await load.look();
  const begun = performance.now();
  await action();
  const took = ((performance.now() - begun) / 1000).toFixed(1);
  const seen = await load.look();
  const { failed, sent, gap, slowest, bad } = seen;
  console.log(
    `${what}: ${failed} / ${sent} failed, gap ${Math.round(gap)} ms, slowest ${Math.round(slowest)} ms, ${took} s ${JSON.stringify(bad)}`,
  );
  return seen;
}

/** Joins a machine by an invitation, as root types it. */
async function invited(machine: Machine): Promise<string> {
  const told = await must("swarm", "invite");
  const argv = [...machine.inside(), box.program, "swarm", "join", "--address", machine.address];
  const env = { ...box.env, ...machine.variables(box.env["PATH"]!), DP_ROOT: rootOf(machine) };
  const child = Bun.spawn(argv, { env, cwd: "/", stdin: Buffer.from(told), stdout: "pipe", stderr: "pipe" });
  const said = (await child.stdout.text()) + (await child.stderr.text());
  expect([await child.exited, said]).toEqual([0, expect.stringContaining("swarm")]);
  return said;
}

/** The machines of the running tasks of the live web process. */
async function placesOfWeb(): Promise<string[]> {
  const id = box.link("current")!;
  const names = (
    await first().must("service", "ls", "--filter", `label=dp.release=${id}`, "--format", "{{.Name}}")
  ).split("\n");
  const format = "{{.Node}} {{.CurrentState}}";
  const rows = await first().must("service", "ps", names[0]!, "--filter", "desired-state=running", "--format", format);
  return rows.split("\n").flatMap((row) => (/^(\S+) Running/.exec(row)?.[1] ? [row.split(" ")[0]!] : []));
}

describe.skipIf(why !== null)("a swarm of three", () => {
  test(
    "is joined by invitations, whose servers get images from the registry, and nobody else",
    async () => {
      await must("swarm", "init", "--address", first().address);
      for (const machine of all.machines.slice(1))
        expect(await invited(machine)).toContain("a worker of the swarm of 10.77.0.1");
      expect(await invited(all.machines[1]!)).toContain("in that swarm already");
      expect((await must("swarm")).match(/ ready /g)?.length).toBe(3);
      const url = "https://10.77.0.1:5000/v2/";
      const curl = async (...more: string[]) => box.start(["curl", "-sS", "--max-time", "30", ...more, url]).done;
      const folder = join(box.root, "etc/docker/certs.d/10.77.0.1:5000");
      // curl takes what follows a colon for a password.
      const own = [
        "--cert",
        join(folder, "client.cert").replace(":5000", "\\:5000"),
        "--key",
        join(folder, "client.key"),
      ];
      await until("the registry answers", async () => {
        const { stdout } = await curl("--cacert", join(folder, "ca.crt"), ...own);
        return stdout === "{}";
      });
      const stranger = await curl("--cacert", join(folder, "ca.crt"));
      expect([stranger.stdout, stranger.stderr]).toEqual(["", expect.stringContaining("certificate")]);
    },
    LIMIT,
  );

  test(
    "refuses to deploy with two managers, and says why",
    async () => {
      await first().must("node", "promote", "n2");
      const told = await until("two managers", async () => {
        const now = await box.dp("swarm");
        return now.text.includes("two managers") && now;
      });
      expect(told.code).toBe(7);
      const setup = await box.dp("setup", "shop", "--manager", "swarm");
      expect([setup.code, setup.text]).toEqual([8, expect.stringContaining("the loss of either stops it")]);
      await first().must("node", "demote", "n2");
      await until("one manager", async () => (await box.dp("swarm")).code === 0);
    },
    LIMIT,
  );

  test(
    "serves through releases, good and bad, without a failed request",
    async () => {
      await must("setup", "shop", "--manager", "swarm");
      appendFileSync(join(box.base, "config.yml"), "swarm: {replicas: 3, secrets: [TOKEN]}\n");
      await must("env", "shop", "set", "TOKEN=first-value");
      await box.release(version("one"));
      expect((await placesOfWeb()).sort()).toEqual(["n1", "n2", "n3"]);
      load = await startLoad();
      const calm = [];
      calm.push(await during("update", () => box.release(version("two"))));
      calm.push(await during("never healthy", () => refusedPush(box, version("bad", { mode: "unhealthy" }), "two")));
      calm.push(await during("crashes", () => refusedPush(box, version("bad", { mode: "crash" }), "two")));
      const worker = "echo no queue; exit 4";
      calm.push(await during("worker fails after web", () => refusedPush(box, version("bad", { worker }), "two")));
      calm.push(await during("rollback by hand", () => must("rollback", "shop")));
      calm.push(await during("secret", () => must("env", "shop", "set", "TOKEN=second-value")));
      expect(calm.map(({ failed, bad }) => [failed, bad])).toEqual(calm.map(() => [0, {}]));
    },
    LIMIT,
  );

  test(
    "moves the tasks of a lost machine",
    async () => {
      const seen = await during("a machine is lost", async () => {
        await all.cut(3);
        await until(
          "three tasks on two machines",
          async () => (await placesOfWeb()).filter((name) => name !== "n3").length === 3,
        );
      });
      // Only what was in its hands: a request that it had taken and not answered.
      expect(seen.failed).toBeLessThanOrEqual(5);
      const told = await box.dp("swarm");
      expect([told.code, told.text]).toEqual([7, expect.stringContaining("n3 is down")]);
      const after = await during("update without it", () => box.release(version("three")));
      expect([after.failed, after.bad]).toEqual([0, {}]);
    },
    LIMIT,
  );
});
