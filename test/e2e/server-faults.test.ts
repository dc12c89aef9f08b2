// What goes wrong on a real server: power cuts, clients that leave, crash loops. One server; every test begins
// with one healthy release that is live, and leaves one.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { boxUnavailable, freePort, until } from "../support/box.ts";
import { PATIENT_BUILD, plainApp } from "../support/server-apps.ts";
import { type Server, startServer } from "../support/server-box.ts";
import { type Laptop, openLaptop } from "../support/server-laptop.ts";

const why = boxUnavailable();
const HOME = "/opt/deployments/shop/home";

describe.skipIf(why !== null)(`faults on a server${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: Server;
  let shop: Laptop;
  let port = 0;

  beforeAll(async () => {
    box = await startServer("faults");
    shop = await openLaptop(box, "shop");
    port = await freePort();
    await box.mustDp("setup", "shop", "--port", `${port}`);
    await box.must("mkdir -p /var/log/journal");
    for (const message of ["first", "second"]) {
      await shop.commit(plainApp("shop"), message);
      await shop.push();
    }
  });
  afterAll(async () => {
    shop?.remove();
    await box?.stop();
  });
  beforeEach(() => box.must(`rm -f ${HOME}/go ${HOME}/slow ${HOME}/die ${HOME}/hold`));

  /** Exactly one release serves, it is the one that current names, and the branch is its commit. */
  const expectOne = async (id: string) => {
    await box.must(
      `curl -sSf --retry 60 --retry-delay 1 --retry-connrefused -o /dev/null http://127.0.0.1:${port}/health`,
    );
    expect(await box.get(port)).toBe(id);
    expect([await box.live("shop"), await box.instances("shop")]).toEqual([id, [id]]);
    expect(await box.must("ls /etc/systemd/system/multi-user.target.wants | grep shop@")).toBe(`shop@${id}.service`);
  };
  const sha7 = (id: string) => id.split("-")[1]!;

  /** Starts a push that nobody waits for; its group is its own, and SIGINT reaches it as it does in a terminal. */
  const startPush = () =>
    Bun.spawn(["env", "--default-signal=INT", ...shop.pushArgv()], {
      cwd: shop.dir,
      env: shop.env,
      detached: true,
      stdio: ["ignore", "ignore", "ignore"],
    });
  const stepIs = (name: string, state: string, sha: string) =>
    box.untilRun(
      "shop",
      `${name} is ${state}`,
      ({ facts, journal }) => facts.sha === sha && journal[name]?.state === state,
    );
  const untilEnded = (sha: string) =>
    box.untilRun("shop", `the deploy of ${sha} ends`, ({ facts, result }) => facts.sha === sha && result !== undefined);

  const cuts: [string, () => Promise<{ sha: string; push: ReturnType<typeof startPush> }>, "old" | "new"][] = [
    [
      "while it installs",
      async () => {
        const sha = await shop.commit({ ...plainApp("shop"), "requirements.txt": "Flask==3.1.3\ngunicorn==27.0.1\n" });
        const push = startPush();
        await stepIs("install", "running", sha);
        return { sha, push };
      },
      "old",
    ],
    [
      "while it waits for the new release to be healthy",
      async () => {
        const sha = await shop.commit({ ...plainApp("shop"), "requirements.txt": null });
        await box.must(`touch ${HOME}/slow`);
        const push = startPush();
        await stepIs("check", "running", sha);
        return { sha, push };
      },
      "old",
    ],
    [
      "after the switch",
      async () => {
        const sha = await shop.commit(plainApp("shop", `hooks:\n  postDeploy: ${JSON.stringify(PATIENT_BUILD)}\n`));
        const push = startPush();
        await stepIs("post-deploy", "running", sha);
        return { sha, push };
      },
      "new",
    ],
  ];
  test.each(cuts)(
    "a power cut %s leaves one healthy release, and the next push ends well",
    async (_when, begin, expected) => {
      const old = await box.live("shop");
      const { sha, push } = await begin();
      try {
        await box.powerCut();
      } finally {
        await push.exited;
      }
      await box.boot();
      // The release that served before starts with the machine, and looks at the same file.
      await box.must(`rm -f ${HOME}/slow`);
      const live = await box.live("shop");
      expect(sha7(live)).toBe(expected === "old" ? sha7(old) : sha.slice(0, 7));
      await expectOne(live);
      expect(await box.mustDp("status", "shop")).toContain("dp resume");
      await box.must(`touch ${HOME}/go`);
      const { text } = await shop.push();
      expect(text).toMatch(/deploy \d+-\w+ was interrupted and is (taken back|finished) first/);
      await expectOne(await box.live("shop"));
      expect([sha7(await box.live("shop")), await box.branch("shop")]).toEqual([sha.slice(0, 7), sha]);
    },
  );

  test.each(["reconcile", "resume", "push"])(
    "a power cut between the switch and what follows from it leaves one healthy release, and dp %s mends it",
    async (how) => {
      const old = await box.live("shop");
      const sha = await shop.commit(plainApp("shop"), `cut right after the switch, then ${how}`);
      await box.must(`touch ${HOME}/hold`);
      const push = startPush();
      await stepIs("verify", "running", sha);
      await box.powerCut();
      await push.exited;
      await box.boot();
      await box.must(`rm ${HOME}/hold`);
      // What starts at boot is enabled after the switch: the release that served before comes up.
      expect(await box.instances("shop")).toEqual([old]);
      expect(await box.get(port)).toBe(old);
      expect(await box.mustDp("status", "shop")).toMatch(/strays +\d+-\w+ should not run: dp reconcile shop/);
      if (how !== "push") {
        // dp resume may find that the interrupted release cannot be finished, and go back: that is an end, too.
        expect([0, 7]).toContain((await box.dp(how, "shop")).code);
        await expectOne(await box.live("shop"));
      }
      await shop.push();
      await expectOne(await box.live("shop"));
      expect([sha7(await box.live("shop")), await box.branch("shop")]).toEqual([sha.slice(0, 7), sha]);
    },
  );

  test("dp resume ends what a power cut interrupted", async () => {
    const sha = await shop.commit(plainApp("shop", `build: ${JSON.stringify(PATIENT_BUILD)}\n`));
    const push = startPush();
    await stepIs("build", "running", sha);
    await box.powerCut();
    await push.exited;
    await box.boot();
    await box.must(`touch ${HOME}/go`);
    const said = await box.mustDp("resume", "shop");
    expect(said).not.toContain("\nclone ");
    expect(said).toContain("\nbuild ");
    await expectOne(await box.live("shop"));
    expect(sha7(await box.live("shop"))).toBe(sha.slice(0, 7));
    // The branch did not move with it: the same commit is pushed again.
    await shop.push();
    expect(await box.branch("shop")).toBe(sha);
  });

  test("Ctrl-C of the push does not stop the deploy", async () => {
    const sha = await shop.commit(plainApp("shop", `build: ${JSON.stringify(PATIENT_BUILD)}\n`));
    const push = startPush();
    await stepIs("build", "running", sha);
    expect(BigInt(`0x${/SigIgn:\s*(\w+)/.exec(readFileSync(`/proc/${push.pid}/status`, "utf8"))![1]}`) & 2n).toBe(0n);
    process.kill(-push.pid, "SIGINT");
    await push.exited;
    expect(push.signalCode).toBe("SIGINT");
    await box.must(`touch ${HOME}/go`);
    const { result, facts } = await untilEnded(sha);
    expect(result).toMatchObject({ state: "good", code: 0 });
    expect(await box.mustDp("logs", "shop", "--deploy")).toContain(`live: shop ${facts.id}`);
    await expectOne(facts.id);
    await shop.push();
    expect([sha7(await box.live("shop")), await box.branch("shop")]).toEqual([sha.slice(0, 7), sha]);
  });

  test("a client that dies while 4 MiB of output are under way freezes nothing", async () => {
    const flood = 'yes "a line of output that nobody will ever read" | head -c 4194304; echo; echo flooded';
    const sha = await shop.commit(plainApp("shop", `build: ${JSON.stringify(`${PATIENT_BUILD}; ${flood}`)}\n`));
    const push = startPush();
    await stepIs("build", "running", sha);
    const ssh = readFileSync(`/proc/${push.pid}/task/${push.pid}/children`, "utf8").trim().split(" ").map(Number);
    await box.must(`touch ${HOME}/go`);
    for (const pid of [...ssh, push.pid]) process.kill(pid, "SIGKILL");
    await push.exited;
    const { result, facts } = await untilEnded(sha);
    expect(result).toMatchObject({ state: "good", code: 0 });
    const log = `/var/log/deployments/shop/${facts.id}.log`;
    expect(Number(await box.must(["grep", "-c", "nobody will ever read", log]))).toBeGreaterThan(80_000);
    expect(await box.must(["grep", "-c", "| flooded", log])).toBe("1");
    await until("git has let go of the repository", async () => (await box.ssh("pgrep -x git-receive-pac")).code !== 0);
    await expectOne(facts.id);
    await shop.commit({}, "after the flood");
    await shop.push();
    await expectOne(await box.live("shop"));
  });

  test("after a crash loop of the live release, rollback works, and so does a push", async () => {
    const sha = await shop.commit(plainApp("shop"), "will crash");
    await shop.push();
    const crashing = await box.live("shop");
    await box.must(`touch ${HOME}/die`);
    await until("systemd gives up", async () => {
      await box.ssh(`curl -s --max-time 2 http://127.0.0.1:${port}/`);
      return (await box.ssh(`systemctl is-failed shop@${crashing}`)).code === 0;
    });
    const status = await box.mustDp("status", "shop");
    expect(status).toMatch(/process +failed.*: exited with 3/);
    expect(status).toContain("NOT healthy");
    await box.must(`rm ${HOME}/die`);
    await box.mustDp("rollback", "shop");
    expect(await box.live("shop")).not.toBe(crashing);
    await expectOne(await box.live("shop"));
    await box.mustDp("deploy", "shop", sha);
    await expectOne(await box.live("shop"));
  });

  test("a second push waits for the first, and the newest wins", async () => {
    await shop.commit(plainApp("shop", `build: ${JSON.stringify(PATIENT_BUILD)}\n`), "slow");
    const slow = await shop.git("rev-parse", "HEAD");
    const first = startPush();
    await stepIs("build", "running", slow);
    const sha = await shop.commit(plainApp("shop"), "quick");
    const second = shop.push();
    await box.untilRun("shop", "the second push has come", ({ facts }) => facts.sha === sha);
    await box.must(`touch ${HOME}/go`);
    expect((await second).text).toContain("waiting for deploy");
    await first.exited;
    expect([sha7(await box.live("shop")), await box.branch("shop")]).toEqual([sha.slice(0, 7), sha]);
    await expectOne(await box.live("shop"));
  });
});
