// One push, several servers: three servers of their own that deploy together, over real ssh.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { isLocked } from "../../lib/host/lock.ts";
import { seedOf, spread } from "../faults/seed.ts";
import { claimPort } from "../support/port.ts";
import { threeServers, threeUnavailable, type One, type Three } from "../support/three-servers.ts";
import { deployYml, SERVER, until, type Outcome } from "../support/sandbox.ts";

const ALL_FAULTS = process.env["DP_FAULTS"] === "all";
const seed = seedOf("several servers");
/** Some of the places where something may happen, chosen by chance: each costs a deploy of three servers. */
const some = <T>(places: readonly T[], count: number, more = 0): T[] =>
  ALL_FAULTS ? [...places] : spread(places, seed + more).slice(0, count);

const why = await threeUnavailable();
if (why !== null) console.log(`several servers: not tested here: ${why}`);

/** A release that is unhealthy on a server with that file; the preDeploy hook leaves a line each time. */
const HOOK = "echo $DP_RELEASE >>$HOME/hooked";
const yml = deployYml("shop", `hooks: {preDeploy: ${HOOK}}\n`);

describe.skipIf(why !== null)("several servers", () => {
  let three: Three;
  beforeAll(async () => {
    three = await threeServers({ "deploy.yml": yml, mode: "marked", wait: "sick" });
  });
  afterAll(() => three?.stop());

  const code = ({ code, text }: Outcome, wanted: number) =>
    expect(`${code}${code === wanted ? "" : `\n${text}`}`).toBe(String(wanted));
  const at = (name: string) => three.all.find((one) => one.name === name)!;
  const branch = async () =>
    (await three.a.sh("git --git-dir $DP_ROOT/var/repos/shop.git rev-parse main")).stdout.trim();
  const hooked = (one: One) => {
    const file = join(one.base, "home/hooked");
    return existsSync(file) ? readFileSync(file, "utf8").split("\n").filter(Boolean) : [];
  };

  /** What holds on each server when nothing is under way. */
  async function expectRest(one: One): Promise<void> {
    // A run that is told to go back before it had its turn holds no lock.
    await until(`${one.name} has ended its runs`, () => one.ids().every((id) => one.run(id).result !== undefined));
    await until(`${one.name} is free`, () => !isLocked(join(one.base, "lock")));
    const live = one.live()!;
    expect(one.run(live).journal["check"]?.state).toBe("ok");
    expect(await one.answer()).toEndWith(live);
    expect(one.previous()).not.toBe(live);
    const notes = () => readdirSync(join(one.base, "runs")).filter((file) => /\.(?:word|lease)$/.test(file));
    await until(`${one.name} forgets the words`, () => notes().length === 0);
  }

  /** All serve the same release, and nothing is left of what happened. */
  async function expectTogether(live: string): Promise<void> {
    for (const one of three.all) {
      await expectRest(one);
      expect(`${one.name} ${one.live()}`).toBe(`${one.name} ${live}`);
    }
  }

  test("a push deploys to all of them, under one ID", async () => {
    const pushed = await three.push();
    code(pushed, 0);
    const live = three.a.live()!;
    expect(live).toStartWith("1-");
    await expectTogether(live);
    for (const { name } of [three.b, three.c]) {
      expect(pushed.text).toMatch(new RegExp(`${name} +ready in [\\d.]+ s`));
      expect(pushed.text).toMatch(new RegExp(`${name} +live, switched in [\\d.]+ ms; requests \\d+, failed 0`));
    }
    expect(three.all.map(hooked)).toEqual([[live], [], []]);
    expect(three.b.run().facts["by"]).toContain(", by a");
  });

  test("answers are right on all servers at any moment of a deploy", async () => {
    const before = three.a.live()!;
    await three.commit({ say: "two" });
    let isOver = false;
    const asking = three.all.map(async (one) => {
      const seen = new Set<string>();
      for (; !isOver; await Bun.sleep(5)) seen.add((await one.answer().catch(String)).split(" ").at(-1)!);
      return seen;
    });
    const pushed = await three.push();
    isOver = true;
    code(pushed, 0);
    const live = three.a.live()!;
    for (const seen of await Promise.all(asking))
      expect([...seen].filter((id) => id !== before && id !== live)).toEqual([]);
    await expectTogether(live);
  });

  test("a server that is too far ahead, or that answers without an end, refuses the push, and nothing is begun", async () => {
    const [live, runs] = [three.a.live()!, three.a.ids()];
    const counters = three.all.map((one) => join(one.base, "counter"));
    const before = counters.map((file) => readFileSync(file, "utf8"));
    writeFileSync(counters[1]!, "900000500\n");
    const far = await three.a.dp("deploy", "shop");
    // Not even a little more, when that is beyond all that an app can have had: numbers come to an end.
    writeFileSync(counters[0]!, "900000000\n");
    const more = await three.a.dp("deploy", "shop");
    writeFileSync(counters[0]!, before[0]!);
    writeFileSync(counters[1]!, "999999999\n");
    const beyond = await three.a.dp("deploy", "shop");
    writeFileSync(counters[1]!, before[1]!);
    code(far, 8);
    expect(far.text).toMatch(/b is at number 900000501, and here the next one is \d+: that is too far ahead/);
    code(more, 8);
    expect(more.text).toContain("b is at number 900000501, and here the next one is 900000001: that is too far ahead");
    code(beyond, 8);
    expect(beyond.text).toContain("b: its answer was not understood");
    for (const [line, says] of [
      ["exec yes", "it answered with more than 1 MiB"],
      // sshd may drop what is still on its way when the command exits.
      ["yes | head -c 4000000 >&2; echo it ends >&2; sleep 1; exit 8", "it ends"],
    ]) {
      writeFileSync(join(three.b.bin, "dp"), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
      const flooded = await three.a.dp("deploy", "shop");
      rmSync(join(three.b.bin, "dp"));
      code(flooded, 8);
      expect(flooded.text).toContain(`b: ${says}`);
    }
    expect(three.a.ids()).toEqual(runs);
    expect(counters.map((file) => readFileSync(file, "utf8"))).toEqual(before);
    await expectTogether(live);
  });

  test("dp rollback goes back on all, and dp restart restarts all", async () => {
    const [before, live] = [three.a.previous()!, three.a.live()!];
    code(await three.a.dp("rollback", "shop"), 0);
    await expectTogether(before);
    code(await three.a.dp("rollback", "shop", live), 0);
    await expectTogether(live);
    code(await three.a.dp("restart", "shop"), 0);
    const restarted = three.a.live()!;
    expect(restarted).not.toBe(live);
    await expectTogether(restarted);
  });

  test("it is built once, and where that does not fit, it is built there", async () => {
    const built = (one: One) => readFileSync(join(one.base, "releases", one.live()!, "where"), "utf8").trim();
    const venvs = (one: One) => readdirSync(join(one.base, "venvs")).sort();
    const more = { "requirements.txt": "six==1.16.0\n", "deploy.yml": `${yml}build: hostname >where\n` };
    await three.commit({ ...more, say: "built" });
    writeFileSync(join(three.c.bin, "getconf"), "#!/bin/sh\necho glibc 2.1\n", { mode: 0o755 });
    const pushed = await three.push();
    rmSync(join(three.c.bin, "getconf"));
    code(pushed, 0);
    await expectTogether(three.a.live()!);
    expect(pushed.text).toMatch(/c builds it itself: it has glibc 2\.1, not glibc/);
    expect(three.all.map(built)).toEqual(["a", "a", "c"]);
    // The dependencies of b are those of a, and count as complete.
    expect(venvs(three.b)).toEqual(venvs(three.a));
    expect((await three.b.sh(`cat $DP_ROOT/var/log/deployments/shop/${three.b.live()}.log`)).text).not.toContain(
      "installing",
    );
    const { runtime } = three.b.run(three.b.live()!).facts as { runtime: { dependencies: string } };
    const python = `${runtime.dependencies}/bin/python`;
    expect((await three.b.sh(`${python} -c 'import six; print(six.__file__)'`)).text).toStartWith(runtime.dependencies);
    await three.commit({ "requirements.txt": null, "deploy.yml": yml });
    // Two virtual environments are made, from a registry.
  }, 300_000);

  test("dp promote puts the files that were proved live on all of them, or on none", async () => {
    const claim = await claimPort();
    const promote = (...more: string[]) => three.a.dp("promote", "shop-staging", "shop", ...more);
    try {
      const options = ["--for", "shop", "--port", String(claim.port), "--manager", "builtin"];
      code(await three.a.dp("setup", "shop-staging", ...options), 0);
      appendFileSync(join(dirname(three.a.base), "shop-staging/config.yml"), "verifyTime: 0s\n");
      const url = (await three.git("remote", "get-url", "production")).stdout.trim();
      const head = await three.commit({ "deploy.yml": `${yml}build: echo $DP_APP >built\n`, say: "staged" });
      code(await three.git("push", url.replace("shop.git", "shop-staging.git"), "main"), 0);
      const [live, tip] = [three.a.live()!, await branch()];
      const unknown = await promote("--without", "d");
      code(unknown, 2);
      expect(unknown.text).toContain('"d" cannot be left out');
      three.c.failAt("start:1:eacces");
      const refused = await promote();
      three.c.failAt("");
      expect(refused.text).toMatch(/FAILED at \w+: c, at start/);
      expect(refused.code).not.toBe(0);
      await expectTogether(live);
      expect(await branch()).toBe(tip);
      const promoted = await promote();
      code(promoted, 0);
      expect(promoted.text).toMatch(/the files that shop-staging 1-\w+ was proved with/);
      await expectTogether(three.a.live()!);
      const built = (one: One) => readFileSync(join(one.base, "releases", one.live()!, "built"), "utf8").trim();
      expect(three.all.map(built)).toEqual(["shop-staging", "shop-staging", "shop-staging"]);
      expect(await branch()).toBe(head);
    } finally {
      await three.a.dp("destroy", "shop-staging", "--yes", "--purge");
      claim.release();
    }
    await three.commit({ "deploy.yml": yml });
  });

  test("dp env changes the settings of all, or of none", async () => {
    const values = async () =>
      Promise.all(three.all.map(async (one) => (await one.dp("env", "shop", "get", "GREETING")).text.trim()));
    code(await three.b.dp("env", "shop", "set", "OWN=b", "--no-restart"), 0);
    code(await three.a.dp("env", "shop", "set", "GREETING=hello"), 0);
    expect(await values()).toEqual(["hello", "hello", "hello"]);
    expect((await three.b.dp("env", "shop", "get", "OWN")).text.trim()).toBe("b");
    await expectTogether(three.a.live()!);
    const live = three.a.live()!;
    three.c.failAt("start:1:eacces");
    const refused = await three.a.dp("env", "shop", "set", "GREETING=bye");
    three.c.failAt("");
    expect(refused.text).toMatch(/FAILED at \w+: c, at start/);
    expect(await values()).toEqual(["hello", "hello", "hello"]);
    await expectTogether(live);
    expect(JSON.stringify(three.c.run())).not.toContain("bye");
  });

  test("a server that lacks a setting is named with the command, which changes that server alone", async () => {
    const wanted = (one: One) => one.dp("env", "shop", "get", "SITE_NAME");
    for (const one of [three.a, three.c])
      code(await one.dp("env", "shop", "set", `SITE_NAME=${one.name}`, "--no-restart"), 0);
    await three.commit({ "server.py": SERVER.replace("\n\n", '\n\nname = os.environ["SITE_NAME"]\n') });
    const refused = await three.push();
    expect(refused.code).not.toBe(0);
    expect(refused.text).toMatch(/FAILED at agree: b, at \w+: /);
    const command = /→ on b: the app wants the setting SITE_NAME: dp (env shop set SITE_NAME)/.exec(refused.text)![1]!;
    // As the hint has it, on b.
    code(await three.b.dp(...command.split(" ").slice(0, -1), "SITE_NAME=b", "--no-restart"), 0);
    code(await three.push(), 0);
    expect((await Promise.all(three.all.map(wanted))).map(({ text }) => text.trim())).toEqual(["a", "b", "c"]);
    await three.commit({ "server.py": SERVER });
    code(await three.push(), 0);
    await expectTogether(three.a.live()!);
  });

  describe("--on", () => {
    type Answered = { server: string; code: number; answer: { process: string }[] };
    const marks = (text: string) => [
      ...new Set(text.split("\n").flatMap((line) => /^(\w+) +\| /.exec(line)?.[1] ?? [])),
    ];

    test("shows and changes what is on several servers, and names those that there are", async () => {
      const ps = await three.a.dp("ps", "shop", "--on", "all");
      code(ps, 0);
      for (const { name } of three.all) expect(ps.stdout).toMatch(new RegExp(`^${name} \\| web\\.1 +running`, "m"));
      const some = JSON.parse((await three.a.dp("ps", "shop", "--on", "b,c", "--json")).stdout) as Answered[];
      expect(some.map(({ server, code, answer }) => [server, code, answer[0]?.process]).sort()).toEqual([
        ["b", 0, "web.1"],
        ["c", 0, "web.1"],
      ]);
      code(await three.a.dp("lock", "shop", "-m", "it's b's", "--on", "b"), 0);
      const status = await three.a.dp("lock", "status", "shop", "--on", "all");
      code(status, 5);
      expect(status.text).toMatch(/^b \| .*it's b's/m);
      expect(status.text).not.toMatch(/^[ac] \| .*it's b's/m);
      code(await three.a.dp("unlock", "shop", "--on", "all"), 0);
      expect((await three.a.dp("ps", "shop", "--on", "d")).text).toContain(
        '"d" is no server of shop: they are a, b, c',
      );
      expect((await three.b.dp("ps", "shop", "--on", "all")).text).toContain("config.yml has no servers");
    });

    test("dp run runs it on each, and answers the code of the first that failed", async () => {
      const ran = await three.a.dp(
        "run",
        "shop",
        "--on",
        "all",
        "--",
        "sh",
        "-c",
        "hostname; echo $1 >&2; [ $0 != b ]",
        "b",
        "x  y",
      );
      expect(ran.stdout.split("\n").sort()).toEqual(["", "a | a", "b | b", "c | c"]);
      expect(ran.stderr.split("\n").sort()).toEqual(["", "a | x y", "b | x y", "c | x y"]);
      code(ran, 1);
      const running = three.a.start("dp run shop --on all -- sleep 86397");
      const isThere = async (one: One) => (await one.sh("pgrep -f '^[s]leep 86397'")).code === 0;
      for (const one of three.all) await until(`it runs on ${one.name}`, () => isThere(one));
      running.end();
      for (const one of three.all) await until(`it has ended on ${one.name}`, async () => !(await isThere(one)));
    });

    test("dp logs has the lines of all in order of time, follows them, and ends there as here", async () => {
      const lines = (text: string) =>
        text
          .split("\n")
          .filter(Boolean)
          .map((line) => line.split(" | "));
      const all = lines((await three.a.dp("logs", "shop", "--on", "all")).stdout);
      expect([...new Set(all.map(([name]) => name))].sort()).toEqual(["a", "b", "c"]);
      const times = all.map(([, line]) => line!.split(" ")[0]!);
      expect(times).toEqual([...times].sort());
      const last = await three.a.dp("logs", "shop", "-n1", "--on", "all", "--grep", "listening", "--json");
      expect(JSON.parse(last.stdout)).toMatchObject({ app: "shop", line: expect.stringContaining("listening on") });
      const following = three.a.start("dp logs shop --on all -f -n 0");
      const isFollowing = async (one: One) => (await one.sh("pgrep -f '[d]p logs.*follow'")).code === 0;
      for (const one of three.all) await until(`${one.name} is followed`, () => isFollowing(one));
      for (const action of ["stop", "start"]) code(await three.a.dp(action, "shop", "--on", "all"), 0);
      await until("a line of each", () => marks(following.text()).length === 3);
      following.end();
      for (const one of three.all) await until(`nobody follows ${one.name}`, async () => !(await isFollowing(one)));
    });

    test("a server that answers nothing keeps nobody, and one that may not says what it needs", async () => {
      const stub = (line: string) => writeFileSync(join(three.c.bin, "dp"), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
      try {
        stub("exec sleep 86398");
        const asking = three.a.start("dp ps shop --on all");
        await until("the answers of the others", () => marks(asking.text()).length === 2);
        await until("it is named", () => asking.text().includes("dp: no answer yet from c"));
        asking.end();
        await until("it has ended", async () => (await three.a.sh("pgrep -f '[d]p ps.*--on'")).code !== 0);
        stub("echo 'dp: server-a may not ps shop' >&2; exit 8");
        const refused = await three.a.dp("ps", "shop", "--on", "all");
        code(refused, 8);
        expect(refused.text).toContain("→ on c, as root: dp keys allow server-a shop --role operate,server");
        stub("exec yes $(head -c 60000 /dev/zero | tr '\\0' x)");
        const flooded = await three.a.dp("ps", "shop", "--on", "b,c");
        code(flooded, 8);
        expect(flooded.stderr).toContain("dp: c has sent more than 16 MiB\n");
        expect(marks(flooded.text)).toEqual(["b"]);
      } finally {
        rmSync(join(three.c.bin, "dp"));
      }
    });
  });

  describe("when it fails on one,", () => {
    /** Deploys from a, where "fail" is done at one server; nobody may have changed. */
    async function expectRefused(says: RegExp, deploy: () => Promise<Outcome>): Promise<void> {
      const [live, tip] = [three.a.live()!, await branch()];
      const outcome = await deploy();
      expect(outcome.text).toMatch(says);
      expect(outcome.code).not.toBe(0);
      expect(outcome.text).toContain(`serving: ${live}`);
      await expectTogether(live);
      expect(await branch()).toBe(tip);
    }
    // Each is a phase: before the start, the start, the switch, after the switch. A run tries one server for each.
    const points = ["clone:1:eacces", "start:1:eacces", "swap:2:eacces", "verify:done:eacces"];
    const cases = some(points, 2).flatMap((point, phase) =>
      some(["a", "b", "c"], 1, phase).map((name) => [name, point] as const),
    );
    test.each(cases)("at %s, %s: nobody switches, or all go back", async (name, point) => {
      at(name).failAt(point);
      try {
        const says = name === "a" ? /FAILED at/ : new RegExp(`FAILED at \\w+: ${name}, at ${point.split(":")[0]}`);
        await expectRefused(says, () => three.a.dp("deploy", "shop"));
      } finally {
        at(name).failAt("");
      }
    });

    test.each(some(["a", "b", "c"], 1))("an unhealthy release at %s refuses the push", async (name) => {
      const sick = (await at(name).sh("echo $DP_ROOT/sick")).stdout.trim();
      await three.commit({ wait: sick });
      await at(name).sh(`touch ${sick}`);
      try {
        await expectRefused(/\[remote rejected\]/, () => three.push());
      } finally {
        await at(name).sh(`rm ${sick}`);
      }
    });
  });

  describe("when a process is killed,", () => {
    const ends = async () => {
      for (const one of three.all) await until(`${one.name} is free`, () => !isLocked(join(one.base, "lock")));
    };
    test.each(some(["spread:recorded", "agree:begun", "agree:done", "swap:2", "verify:recorded", "prove:done"], 2))(
      "the one that leads, at %s: the others go back by themselves, and dp fleet sync mends it",
      async (point) => {
        const live = three.a.live()!;
        three.a.failAt(point);
        const killed = await three.a.dp("deploy", "shop");
        three.a.failAt("");
        expect(killed.code).toBe(143);
        await ends();
        for (const one of [three.b, three.c]) {
          await expectRest(one);
          expect(one.live()).toBe(live);
        }
        // It takes its own part back first.
        code(await three.a.dp("fleet", "sync", "shop"), 0);
        await expectTogether(live);
      },
    );

    test.each(some(["prove:recorded", "keep:done", "gather:begun"], 1))(
      "the one that leads, at %s: all have proven it, and dp fleet sync mends it",
      async (point) => {
        three.a.failAt(point);
        await three.a.dp("deploy", "shop");
        three.a.failAt("");
        await ends();
        code(await three.a.dp("resume", "shop"), 0);
        const synced = await three.a.dp("fleet", "sync", "shop");
        code(synced, 0);
        const live = three.a.live()!;
        for (const one of three.all) {
          await expectRest(one);
          expect(one.run(one.live()!).facts["sha"]).toBe(three.a.run(live).facts["sha"]);
        }
      },
    );

    test.each(some(["clone:recorded", "agree:begun", "swap:2", "verify:done"], 1))(
      "one of the others, at %s: all go back at once",
      async (point) => {
        const live = three.a.live()!;
        three.b.failAt(point);
        const outcome = await three.a.dp("deploy", "shop");
        three.b.failAt("");
        expect(outcome.code).not.toBe(0);
        expect(outcome.text).toMatch(/FAILED at \w+: b/);
        for (const one of three.all) {
          await expectRest(one);
          expect(one.run(one.live()!).facts["sha"]).toBe(three.a.run(live).facts["sha"]);
        }
      },
    );
  });

  describe("a server that is away", () => {
    test("refuses the push before anything begins; with -o without=c it goes on, and dp fleet sync brings c back", async () => {
      await three.c.cut();
      // The same commit may have another number on each.
      const [before, left, runs] = [three.b.live()!, three.c.live()!, three.a.ids()];
      await three.commit({ say: "away" });
      const refused = await three.push();
      expect(refused.text).toContain("c cannot be reached, so nothing was begun");
      expect(refused.text).toContain("git push -o without=c leaves it out on purpose; dp fleet sync shop");
      code(refused, 1);
      expect(three.a.ids()).toEqual(runs);
      expect(three.b.live()).toBe(before);
      for (const typed of [["deploy"], ["rollback"], ["restart"], ["env", "set", "AWAY=1"]]) {
        const [word, ...more] = typed;
        const there = await three.a.dp(word!, "shop", ...more);
        code(there, 8);
        expect(there.text).toContain("→ --without c leaves it out on purpose; dp fleet sync shop");
      }
      expect(three.a.ids()).toEqual(runs);
      const wrong = await three.push("-o", "without=d");
      expect(wrong.text).toContain('"d" cannot be left out: the other servers are b, c');
      code(await three.push("-o", "without=c"), 0);
      const live = three.a.live()!;
      expect(three.b.live()).toBe(live);
      const set = await three.a.dp("env", "shop", "set", "AWAY=1", "--without", "c");
      code(set, 0);
      expect(set.text).toContain("dp: not changed on c: dp env shop there, too");
      expect((await three.b.dp("env", "shop", "get", "AWAY")).text.trim()).toBe("1");
      code(await three.a.dp("env", "shop", "set", "AWAY=2", "--no-restart", "--without", "c"), 2);
      code(await three.a.dp("restart", "shop", "web", "--without", "c"), 2);
      code(await three.a.dp("restart", "shop", "--without", "c"), 0);
      const restarted = three.a.live()!;
      expect(three.b.live()).toBe(restarted);
      const seen = await three.a.dp("ps", "shop", "--on", "all");
      code(seen, 8);
      expect(seen.text).toContain("dp: c cannot be reached");
      expect(seen.text).toMatch(/^b \| web\.1 +running/m);
      const away = await three.a.dp("fleet", "sync", "shop");
      code(away, 8);
      expect(away.text).toMatch(/b +has /);
      expect(away.text).toMatch(/c +away: /);
      const status = await three.a.dp("status", "shop");
      expect(status.text).toMatch(new RegExp(`servers +b ${restarted}; c does NOT answer: `));
      await three.c.boot();
      await three.c.dp("reconcile", "shop");
      expect(await three.c.answer()).toEndWith(left);
      expect((await three.a.dp("status", "shop")).text).toContain(`c NOT in line: ${left}; dp fleet sync shop`);
      const synced = await three.a.dp("fleet", "sync", "shop");
      expect(synced.text).toMatch(new RegExp(`c +brought to \\d+-${live.split("-")[1]} in`));
      code(synced, 0);
      code(await three.a.dp("fleet", "sync", "shop"), 0);
      for (const one of three.all) await expectRest(one);
      expect(three.c.run(three.c.live()!).facts["sha"]).toBe(three.a.run(restarted).facts["sha"]);
    });
  });

  test("a server that loses its power during a deploy takes all back, and comes back in line", async () => {
    // The same commit may have another number where it was brought in line.
    const before = three.all.map((one) => one.live()!);
    const go = (await three.a.sh("echo $DP_ROOT/go")).stdout.trim();
    for (const one of [three.a, three.b]) await one.sh(`touch ${go}`);
    await three.commit({ mode: "slow", wait: go });
    const last = three.c.ids().at(-1);
    const pushing = three.push();
    const isNew = () => three.c.ids().at(-1) !== last;
    await until("c checks the release", () => isNew() && three.c.run().journal["check"] !== undefined);
    await three.c.cut();
    const pushed = await pushing;
    expect(pushed.text).toMatch(/FAILED at \w+: c: /);
    expect(pushed.text).toContain("c: ");
    code(pushed, 1);
    for (const one of [three.a, three.b]) await expectRest(one);
    expect([three.a.live(), three.b.live()]).toEqual(before.slice(0, 2));
    await three.c.boot();
    await three.c.dp("reconcile", "shop");
    expect(await three.c.answer()).toEndWith(before[2]!);
    const synced = await three.a.dp("fleet", "sync", "shop");
    code(synced, 0);
    for (const one of three.all) await expectRest(one);
    const shas = three.all.map((one) => one.run(one.live()!).facts["sha"]);
    expect(new Set(shas).size).toBe(1);
    await three.commit({ mode: "marked", wait: "sick" });
  });

  test("roles: each process where it belongs, and a scheduled job on one server", async () => {
    appendFileSync(join(three.a.base, "config.yml"), "roles: {web: [a, b], worker: [b, c], cron: [c]}\n");
    const more =
      "processes: {worker: {command: exec sleep 86399}}\ncron: [{name: tidy, schedule: '@daily', command: 'true'}]\n";
    await three.commit({ "deploy.yml": yml + more, say: "roles" });
    code(await three.push(), 0);
    const live = three.a.live()!;
    expect(three.all.map((one) => one.live())).toEqual([live, live, live]);
    const runs = async (one: One) => {
      const all = JSON.parse((await one.dp("ps", "shop", "--json")).stdout) as { process: string; state: string }[];
      return all
        .filter(({ state }) => state === "running")
        .map(({ process }) => process)
        .sort();
    };
    expect(await Promise.all(three.all.map(runs))).toEqual([["web.1"], ["web.1", "worker.1"], ["worker.1"]]);
    const jobs = async (one: One) => (JSON.parse((await one.dp("cron", "shop", "--json")).stdout) as unknown[]).length;
    expect(await Promise.all(three.all.map(jobs))).toEqual([0, 0, 1]);
    code(await three.a.dp("rollback", "shop"), 0);
    expect(await runs(three.c)).toEqual(["web.1"]);
  });
});
