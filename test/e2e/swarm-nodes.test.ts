// An app in a Docker Swarm of three machines: no request is lost by releases, good or bad, at whatever machine it comes in;
// a lost machine's tasks move, and when the one that deploys is lost, the others' entrances go on.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { appendFileSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
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
/** What clients see at dp's front, and at the entrances of two machines. */
let loads: Load[] = [];
const ENTRANCE = 8080;
/** Requests in a second, at each of them. */
const RATE = 25;
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
  for (const load of loads) await load.stop();
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

async function startLoad(name: string, machine: Machine, url: string) {
  const argv = [process.execPath, join(project, "test/support/steady-load.ts"), url, String(RATE)];
  const child = Bun.spawn([...machine.inside(), ...argv], {
    stdin: "pipe",
    stdout: "pipe",
    cwd: "/",
    env: { PATH: "/usr/bin:/bin" },
  });
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const ask = async (word: string): Promise<Seen> => {
    child.stdin.write(`${word}\n`);
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
  const look = () => ask("look");
  const sent = async () => (await ask("count")).sent;
  return { name, look, sent, stop };
}

const atEntrance = (machine: Machine) => startLoad(nameOf(machine), machine, `http://${machine.address}:${ENTRANCE}/`);

/** What clients saw, at each of the loads, while something was done; told with the time that it took. */
async function during(what: string, action: () => Promise<unknown>): Promise<Seen[]> {
  await Promise.all(loads.map(({ look }) => look()));
  const begun = performance.now();
  await action();
  const took = ((performance.now() - begun) / 1000).toFixed(1);
  const all = await Promise.all(loads.map(({ look }) => look()));
  for (const [at, { failed, sent, gap, slowest, bad, answers }] of all.entries())
    console.log(
      `${what}, ${took} s, ${loads[at]!.name}: ${failed} / ${sent} failed, gap ${Math.round(gap)} ms, slowest ${Math.round(slowest)} ms ${JSON.stringify({ bad, answers })}`,
    );
  return all;
}

/** The sum of what failed. */
const failures = (all: readonly Seen[]) => all.flatMap(({ failed, bad }) => (failed > 0 ? [bad] : []));

/** Runs dp on a machine, as root types it there. */
async function dpOn(machine: Machine, words: string[], stdin = ""): Promise<{ code: number; text: string }> {
  const env = { ...box.env, ...machine.variables(box.env["PATH"]!), DP_ROOT: rootOf(machine) };
  const argv = [...machine.inside(), box.program, ...words];
  const child = Bun.spawn(argv, { env, cwd: "/", stdin: Buffer.from(stdin), stdout: "pipe", stderr: "pipe" });
  const text = (await child.stdout.text()) + (await child.stderr.text());
  return { code: await child.exited, text };
}

/** Joins a machine by an invitation. */
async function invited(machine: Machine, ...options: string[]): Promise<string> {
  const told = await must("swarm", "invite", ...options);
  const { code, text } = await dpOn(machine, ["swarm", "join", "--address", machine.address], told);
  expect([code, text]).toEqual([0, expect.stringContaining("swarm")]);
  return text;
}

const numberOf = (machine: Machine) => all.machines.indexOf(machine) + 1;
const nameOf = (machine: Machine) => `n${numberOf(machine)}`;

/** How many managers a machine's engine counts. */
const managersBy = (machine: Machine) => machine.must("info", "--format", "{{.Swarm.Managers}}");

/** The machines of the running tasks of the live web process; none while the managers choose a leader. */
async function placesOfWeb(): Promise<string[]> {
  const id = box.link("current")!;
  const found = await first().docker("service", "ls", "--filter", `label=dp.release=${id}`, "--format", "{{.Name}}");
  const format = "{{.Node}} {{.CurrentState}}";
  const asked = ["--filter", "desired-state=running", "--format", format];
  const { stdout } = await first().docker("service", "ps", found.stdout.split("\n")[0]!, ...asked);
  return stdout.split("\n").flatMap((row) => (/^(\S+) Running/.exec(row)?.[1] ? [row.split(" ")[0]!] : []));
}

/** Runs a command in a machine's own mounts. */
async function mounting(machine: Machine, ...words: string[]): Promise<void> {
  const holder = readFileSync(join(machine.folder, "holder"), "utf8").trim();
  const { code, text } = await box.start(["nsenter", `--mount=/proc/${holder}/ns/mnt`, ...words]).done;
  expect([code, text]).toEqual([0, ""]);
}

/** The digests of the app's images in a machine's engine. */
async function digestsOn(machine: Machine): Promise<string[]> {
  const rows = await machine.must("image", "ls", "--digests", "--format", "{{.Repository}} {{.Digest}}");
  return rows
    .split("\n")
    .flatMap((row) => /:5000\/dp\/shop\S* (sha256:\w+)$/.exec(row)?.[1] ?? [])
    .sort();
}

/** What the registry has of the app: tag -> digest. */
async function inRegistry(): Promise<Record<string, string>> {
  const folder = join(box.root, "var/lib/dp/registry/images/docker/registry/v2/repositories/dp");
  const [name = ""] = readdirSync(folder).filter((each) => each.startsWith("shop"));
  const tags = join(folder, name, "_manifests/tags");
  const digest = (tag: string) => readFileSync(join(tags, tag, "current/link"), "utf8").trim();
  return Object.fromEntries(readdirSync(tags).map((tag) => [tag, digest(tag)]));
}

const NODE_YML = "name: shop\ntype: node\ncommand: node server.js\nhealthCheck: {path: /, startTimeout: 30s}\n";
const NODE = `const { PORT, DP_RELEASE } = process.env;
require("node:http").createServer((_, answer) => answer.end("node " + DP_RELEASE)).listen(PORT, "0.0.0.0");
`;

const doctor = async () => (await box.dp("doctor")).text;
const sorted = (words: Iterable<string>) => [...new Set(words)].sort();

describe.skipIf(why !== null)("a swarm of three", () => {
  test(
    "is joined by invitations, refuses to deploy with two managers, and gives images to its servers alone",
    async () => {
      await must("swarm", "init", "--address", first().address);
      const [, second, third] = all.machines as [Machine, Machine, Machine];
      expect(await invited(second, "--manager")).toContain("a manager of the swarm of 10.77.0.1");
      await until("two managers", async () => (await managersBy(first())) === "2");
      const told = await box.dp("swarm");
      expect([told.code, told.text]).toEqual([7, expect.stringContaining("two managers")]);
      const setup = await box.dp("setup", "shop", "--manager", "swarm");
      expect([setup.code, setup.text]).toEqual([8, expect.stringContaining("the loss of either stops it")]);
      // The managers are told in any order.
      expect(await invited(third, "--manager")).toContain("a manager of the swarm of 10.77.0.");
      expect(await invited(second)).toContain("in that swarm already");
      await until("three managers", async () => (await box.dp("swarm")).code === 0);
      expect((await must("swarm")).match(/ manager.* ready /g)?.length).toBe(3);
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
    "runs an app without a Dockerfile on all of them, if they are alike",
    async () => {
      await must("setup", "shop", "--manager", "swarm");
      appendFileSync(
        join(box.base, "config.yml"),
        `keep: 1\nswarm: {replicas: 3, secrets: [TOKEN], entrance: ${ENTRANCE}}\n`,
      );
      await must("env", "shop", "set", "TOKEN=first-value");
      const third = all.machines[2]!;
      const other = join(third.folder, "os-release");
      writeFileSync(other, "ID=debian\nVERSION_ID=7\n");
      await mounting(third, "mount", "--bind", other, "/usr/lib/os-release");
      const refused = await box.push();
      expect([refused.code === 0, refused.text]).toEqual([
        false,
        expect.stringContaining("n3 has another release of the operating system"),
      ]);
      await mounting(third, "umount", "/usr/lib/os-release");
      const { code, text } = await box.push();
      expect([code, code === 0 ? "" : text]).toEqual([0, ""]);
      expect(await box.answer()).toStartWith("one 2-");
      expect(sorted(await placesOfWeb())).toEqual(["n1", "n2", "n3"]);
      await box.commit({
        "deploy.yml": NODE_YML,
        "server.js": NODE,
        "package.json": '{"private": true}\n',
        "server.py": null,
      });
      const node = await box.push();
      expect([node.code, node.code === 0 ? "" : node.text]).toEqual([0, ""]);
      expect(await box.answer()).toStartWith("node 3-");
      expect(sorted(await placesOfWeb())).toEqual(["n1", "n2", "n3"]);
    },
    LIMIT,
  );

  test(
    "serves through releases, good and bad, without a failed request",
    async () => {
      await box.release(version("one"));
      expect((await placesOfWeb()).sort()).toEqual(["n1", "n2", "n3"]);
      loads = await Promise.all([
        startLoad("front", first(), `http://127.0.0.1:${box.port}/`),
        ...all.machines.slice(0, 2).map(atEntrance),
      ]);
      const calm = [];
      calm.push(await during("update", () => box.release(version("two"))));
      calm.push(await during("never healthy", () => refusedPush(box, version("bad", { mode: "unhealthy" }), "two")));
      calm.push(await during("crashes", () => refusedPush(box, version("bad", { mode: "crash" }), "two")));
      // On a busy machine its end is seen late.
      const failing = version("bad", { worker: "echo no queue; exit 4", stayUp: "20s" });
      calm.push(await during("worker fails after web", () => refusedPush(box, failing, "two")));
      calm.push(await during("rollback by hand", () => must("rollback", "shop")));
      calm.push(await during("secret", () => must("env", "shop", "set", "TOKEN=second-value")));
      expect(calm.flatMap(failures)).toEqual([]);
    },
    LIMIT,
  );

  test(
    "keeps the images of kept releases, in the registry and on every server, and no others",
    async () => {
      const kept = await inRegistry();
      const releases = readdirSync(join(box.base, "releases"));
      expect(Object.keys(kept).filter((tag) => !releases.includes(tag))).toEqual([]);
      expect(Object.keys(kept)).toContain(box.link("current")!);
      const allowed = sorted(Object.values(kept));
      for (const machine of all.machines)
        await until("old images are gone", async () =>
          (await digestsOn(machine)).every((digest) => allowed.includes(digest)),
        );
      const ended = await first().must(
        "container",
        "ls",
        "--quiet",
        "--filter",
        "status=exited",
        "--filter",
        "label=dp.sweep",
      );
      expect(ended.split("\n").filter(Boolean).length).toBeLessThanOrEqual(1);
      expect(await doctor()).toContain("nothing wrong");
      await first().must("stop", ...(await first().must("ps", "--quiet", "--filter", "name=dp-registry")).split("\n"));
      expect(await doctor()).toContain("the swarm's registry, 10.77.0.1:5000, cannot be reached");
      expect((await box.dp("doctor", "--fix")).text).toContain("fixed: the swarm's registry runs");
    },
    LIMIT,
  );

  let leader: Machine;
  let other: Machine;

  test(
    "moves everything away from a server that is drained, without a failed request",
    async () => {
      // From here on another machine leads than the one with dp.
      await first().must("node", "demote", "n1");
      const [, second] = all.machines as [Machine, Machine, Machine];
      await until("n1 is a manager again", async () => (await second.docker("node", "promote", "n1")).code === 0);
      await until("three managers", async () => (await box.dp("swarm")).code === 0);
      const name = /^(n\d) .*leads/m.exec(await must("swarm"))![1]!;
      [leader, other] = name === "n2" ? [all.machines[1]!, all.machines[2]!] : [all.machines[2]!, all.machines[1]!];
      // An entrance of a server that takes no tasks is closed.
      await loads.pop()!.stop();
      const seen = await during("drain", () => must("swarm", "drain", nameOf(other)));
      expect(failures(seen)).toEqual([]);
      expect(sorted(await placesOfWeb())).toEqual(sorted(["n1", name]));
      expect(await doctor()).toContain(`${nameOf(other)} takes no tasks`);
      await must("swarm", "ready", nameOf(other));
    },
    LIMIT,
  );

  test(
    "moves the tasks of a lost machine, which led, and deploys without it",
    async () => {
      const name = nameOf(leader);
      loads.push(await atEntrance(other));
      await until("its entrance is open", async () => {
        const { answers } = await loads.at(-1)!.look();
        return Object.keys(answers).length > 0;
      });
      const lost = await during("the leader is lost", async () => {
        await all.cut(numberOf(leader));
        await until("it is missed", async () => (await box.dp("swarm")).text.includes(`${name} is down`));
        await until(
          "three tasks on two machines",
          async () => (await placesOfWeb()).filter((each) => each !== name).length === 3,
        );
      });
      // Only what was in its hands: a request that it had taken and not answered.
      for (const { failed } of lost) expect(failed).toBeLessThanOrEqual(5);
      const told = await box.dp("swarm");
      expect([told.code, told.text]).toEqual([7, expect.stringContaining(`${name} is down`)]);
      expect(told.text).toContain("2 of 3 managers are there, and the loss of one more stops all changes");
      expect(await doctor()).toContain(`${name} is down`);
      const after = await during("update without it", () => box.release(version("three")));
      expect(failures(after)).toEqual([]);
    },
    LIMIT,
  );

  test(
    "says that most managers are lost, and comes back by one",
    async () => {
      for (const load of loads.splice(0)) await load.stop();
      await all.cut(numberOf(other));
      const told = await until("the swarm has no leader", async () => {
        const now = await box.dp("swarm");
        return now.code !== 7 && now;
      });
      expect([told.code, told.text]).toEqual([8, expect.stringContaining("docker swarm init --force-new-cluster")]);
      expect(await box.answer()).toBe("three\n");
      await first().must("swarm", "init", "--force-new-cluster", "--advertise-addr", first().address);
      for (const lost of [leader, other]) await must("swarm", "remove", nameOf(lost));
      expect((await box.dp("swarm")).code).toBe(0);
      await box.release(version("four"));
      expect(await box.answer()).toBe("four\n");
      await all.start(numberOf(other));
      await other.must("swarm", "leave", "--force");
      expect(await invited(other)).toContain("a worker of the swarm");
      await must("swarm", "remove", nameOf(other));
      const left = await dpOn(other, ["swarm", "leave"]);
      expect([left.code, left.text]).toEqual([0, expect.stringContaining("has left its swarm")]);
    },
    LIMIT,
  );

  test(
    "serves at the other machine when the one that deploys is lost",
    async () => {
      await invited(other);
      await until("it is ready", async () => (await box.dp("swarm")).code === 0);
      await box.release(version("five"));
      loads = [await atEntrance(other)];
      await until("its entrance is open", async () => Object.keys((await loads[0]!.look()).answers).length > 0);
      const [seen] = await during("the manager is lost", async () => {
        await all.cut(1);
        await until("six seconds of requests", async () => (await loads[0]!.sent()) > 6 * RATE);
      });
      // Those that a task on that machine had in its hands.
      expect(seen!.failed).toBeLessThanOrEqual(5);
    },
    LIMIT,
  );
});
