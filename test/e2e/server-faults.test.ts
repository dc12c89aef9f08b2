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
/** What steers the app until the power is cut. */
const RUN = "/run/test";
/** Lets every start of the app wait while there is a file. */
const LATE = `[Service]\nExecStartPre=/bin/sh -c 'while [ -e ${RUN}/late ]; do sleep 0.05; done'\n`;

describe.skipIf(why !== null)(`faults on a server${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: Server;
  let shop: Laptop;
  let port = 0;

  beforeAll(async () => {
    box = await startServer("faults");
    shop = await openLaptop(box, "shop");
    port = await freePort();
    await box.mustDp("setup", "shop", "--port", `${port}`);
    await box.hurry("shop");
    await box.write("/etc/systemd/system/shop@.service.d/late.conf", LATE);
    await box.must("mkdir -p /var/log/journal && systemctl daemon-reload");
    for (const message of ["first", "second"]) {
      await shop.commit(plainApp("shop"), message);
      await shop.push();
    }
  });
  afterAll(async () => {
    shop?.remove();
    await box?.stop();
  });
  beforeEach(() => box.must(`rm -rf ${HOME}/go ${HOME}/die ${RUN} && mkdir ${RUN}`));

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

  /** Pushes a commit and waits for the step; answers the commit and the push. */
  const pushUntil = async (step: string, more = "", files: Record<string, string | null> = {}) => {
    const sha = await shop.commit({ ...plainApp("shop", more), ...files }, `cut in ${step}`);
    const push = startPush();
    await stepIs(step, "running", sha);
    return { sha, push };
  };
  const untilMoved = (old: string) => until("current has moved", async () => (await box.live("shop")) !== old);

  type Begun = Awaited<ReturnType<typeof pushUntil>>;
  const cuts: [when: string, serves: "old" | "new", ends: "push" | "resume", begin: (old: string) => Promise<Begun>][] =
    [
      [
        "while it installs",
        "old",
        "push",
        () => pushUntil("install", "", { "requirements.txt": "Flask==3.1.3\ngunicorn==27.0.1\n" }),
      ],
      [
        "while it starts",
        "old",
        "resume",
        async () => {
          await box.must(`touch ${RUN}/late`);
          return pushUntil("start", "", { "requirements.txt": null });
        },
      ],
      [
        "while it waits for the new release to be healthy",
        "old",
        "push",
        async () => {
          await box.must(`touch ${RUN}/slow`);
          return pushUntil("check");
        },
      ],
      [
        "between current and the front",
        "new",
        "resume",
        async (old) => {
          await box.must(`touch ${RUN}/slow`);
          const begun = await pushUntil("check");
          // A relay that does not hear: the switch stays half done.
          await box.must(`systemctl kill --signal=STOP dp-relay && rm ${RUN}/slow`);
          await untilMoved(old);
          await stepIs("swap", "running", begun.sha);
          expect(await box.must("cat /var/lib/dp/relay/routes.json")).toContain(old);
          return begun;
        },
      ],
      [
        "while it watches the new release",
        "new",
        "push",
        async () => {
          await box.must(`touch ${RUN}/hold`);
          return pushUntil("verify");
        },
      ],
      [
        "while the old release ends its requests",
        "new",
        "resume",
        async (old) => {
          await box.must(`touch ${RUN}/long`);
          // It ends with the power.
          await box.must(`curl -s http://127.0.0.1:${port}/long >/dev/null 2>&1 &`);
          const begun = await pushUntil("retire");
          expect(await box.instances("shop")).toHaveLength(2);
          expect(await box.get(port)).not.toBe(old);
          return begun;
        },
      ],
      [
        "in postDeploy",
        "new",
        "push",
        () => pushUntil("post-deploy", `hooks:\n  postDeploy: ${JSON.stringify(PATIENT_BUILD)}\n`),
      ],
    ];
  test.each(cuts)(
    "a power cut %s: after the boot the %s release serves, and dp %s ends it well",
    async (_when, serves, ends, begin) => {
      const old = await box.live("shop");
      const { sha, push } = await begin(old);
      try {
        await box.powerCut();
      } finally {
        await push.exited;
      }
      await box.boot();
      // The server says that it is up: everything has been put right already.
      const live = await box.live("shop");
      expect(sha7(live)).toBe(serves === "old" ? sha7(old) : sha.slice(0, 7));
      expect(await box.get(port, "/health")).toBe(live);
      await expectOne(live);
      const shown = "systemctl show -P ActiveState -P Result -P ExecMainStatus dp-reconcile";
      expect((await box.must(shown)).split("\n").toSorted()).toEqual(["0", "inactive", "success"]);
      expect(await box.mustDp("status", "shop")).toContain("dp resume");
      await box.must(`touch ${HOME}/go`);
      // What is done is not done again.
      if (ends === "resume") expect(await box.mustDp("resume", "shop")).not.toContain("\nclone ");
      const { text } = await shop.push();
      if (ends === "push") expect(text).toMatch(/deploy \d+-\w+ was interrupted and is (taken back|finished) first/);
      await expectOne(await box.live("shop"));
      expect([sha7(await box.live("shop")), await box.branch("shop")]).toEqual([sha.slice(0, 7), sha]);
    },
  );

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

  describe("an app without a front, by strategy restart", () => {
    let solo: Laptop;
    let soloPort = 0;
    beforeAll(async () => {
      solo = await openLaptop(box, "solo");
      soloPort = await freePort();
      await box.mustDp("setup", "solo", "--port", `${soloPort}`);
      await box.must("printf 'front: none\\n' >> /opt/deployments/solo/config.yml");
      await box.hurry("solo");
      await box.mustDp("setup", "solo");
    });
    afterAll(() => solo?.remove());

    test("has its public port to itself, and a gap at each deploy that is said", async () => {
      await solo.commit(plainApp("solo"), "first");
      await solo.push();
      await solo.commit({}, "second");
      expect((await solo.push()).text).toMatch(/strategy restart: down for \d+\.\d s/);
      const id = await box.live("solo");
      expect([await box.get(soloPort), await box.instances("solo")]).toEqual([id, [id]]);
      expect(await box.must(`ss -Hltnp sport = :${soloPort}`)).toContain("python");
    });

    test("a power cut while the new release is not healthy yet brings the old one back", async () => {
      const old = await box.live("solo");
      const sha = await solo.commit({}, "cut");
      await box.must(`touch ${RUN}/slow`);
      const push = Bun.spawn(solo.pushArgv(), { cwd: solo.dir, env: solo.env, stdio: ["ignore", "ignore", "ignore"] });
      await box.untilRun(
        "solo",
        "check is running",
        ({ facts, journal }) => facts.sha === sha && journal["check"]?.state === "running",
      );
      expect(await box.instances("solo")).not.toContain(old);
      await box.powerCut();
      await push.exited;
      await box.boot();
      await box.must(`curl -sSf --retry 20 --retry-delay 1 --retry-connrefused http://127.0.0.1:${soloPort}/health`);
      expect([await box.get(soloPort), await box.instances("solo")]).toEqual([old, [old]]);
      await solo.push();
      expect([await box.get(soloPort), await box.branch("solo")]).toEqual([await box.live("solo"), sha]);
    });
  });
});
