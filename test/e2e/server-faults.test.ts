// What goes wrong on a real server: clients that leave, crash loops, pushes that meet. One server; every test begins
// with one healthy release that is live, and leaves one.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { boxUnavailable, freePort, until } from "../support/box.ts";
import { PATIENT_BUILD, plainApp } from "../support/server-apps.ts";
import { type Server, startServer } from "../support/server-box.ts";
import { type Laptop, openLaptop } from "../support/server-laptop.ts";
import { HOME, openShop, RUN, sha7, type Shop } from "../support/server-shop.ts";

const why = boxUnavailable();

describe.skipIf(why !== null)(`faults on a server${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: Server;
  let shop: Shop;

  beforeAll(async () => {
    box = await startServer("faults");
    shop = await openShop(box);
  });
  afterAll(async () => {
    shop?.remove();
    await box?.stop();
  });
  beforeEach(() => shop.calm());

  test("Ctrl-C of the push does not stop the deploy", async () => {
    const sha = await shop.commit(plainApp("shop", `build: ${JSON.stringify(PATIENT_BUILD)}\n`));
    const push = shop.startPush();
    await shop.stepIs("build", "running", sha);
    expect(BigInt(`0x${/SigIgn:\s*(\w+)/.exec(readFileSync(`/proc/${push.pid}/status`, "utf8"))![1]}`) & 2n).toBe(0n);
    process.kill(-push.pid, "SIGINT");
    await push.exited;
    expect(push.signalCode).toBe("SIGINT");
    await box.must(`touch ${HOME}/go`);
    const { result, facts } = await shop.untilEnded(sha);
    expect(result).toMatchObject({ state: "good", code: 0 });
    expect(await box.mustDp("logs", "shop", "--deploy")).toContain(`live: shop ${facts.id}`);
    await shop.expectOne(facts.id);
    await shop.push();
    expect([sha7(await box.live("shop")), await box.branch("shop")]).toEqual([sha.slice(0, 7), sha]);
  });

  test("a client that dies while 4 MiB of output are under way freezes nothing", async () => {
    const flood = 'yes "a line of output that nobody will ever read" | head -c 4194304; echo; echo flooded';
    const sha = await shop.commit(plainApp("shop", `build: ${JSON.stringify(`${PATIENT_BUILD}; ${flood}`)}\n`));
    const push = shop.startPush();
    await shop.stepIs("build", "running", sha);
    const ssh = readFileSync(`/proc/${push.pid}/task/${push.pid}/children`, "utf8").trim().split(" ").map(Number);
    await box.must(`touch ${HOME}/go`);
    for (const pid of [...ssh, push.pid]) process.kill(pid, "SIGKILL");
    await push.exited;
    const { result, facts } = await shop.untilEnded(sha);
    expect(result).toMatchObject({ state: "good", code: 0 });
    const log = `/var/log/deployments/shop/${facts.id}.log`;
    expect(Number(await box.must(["grep", "-c", "nobody will ever read", log]))).toBeGreaterThan(80_000);
    expect(await box.must(["grep", "-c", "| flooded", log])).toBe("1");
    await until("git has let go of the repository", async () => (await box.ssh("pgrep -x git-receive-pac")).code !== 0);
    await shop.expectOne(facts.id);
    await shop.commit({}, "after the flood");
    await shop.push();
    await shop.expectOne(await box.live("shop"));
  });

  test("after a crash loop of the live release, rollback works, and so does a push", async () => {
    const sha = await shop.commit(plainApp("shop"), "will crash");
    await shop.push();
    const crashing = await box.live("shop");
    await box.must(`touch ${HOME}/die`);
    await until("systemd gives up", async () => {
      await box.ssh(`curl -s --max-time 2 http://127.0.0.1:${shop.port}/`);
      return (await box.ssh(`systemctl is-failed shop@${crashing}`)).code === 0;
    });
    const status = await box.mustDp("status", "shop");
    expect(status).toMatch(/process +failed.*: exited with code 3/);
    expect(status).toContain("NOT healthy");
    await box.must(`rm ${HOME}/die`);
    await box.mustDp("rollback", "shop");
    expect(await box.live("shop")).not.toBe(crashing);
    await shop.expectOne(await box.live("shop"));
    await box.mustDp("deploy", "shop", sha);
    await shop.expectOne(await box.live("shop"));
  });

  test("a build that fails, and a dp that is killed in one, leave no unit that waits", async () => {
    const early = await openLaptop(box, "early");
    try {
      await box.mustDp("setup", "early", "--port", `${await freePort()}`);
      await box.hurry("early");
      await early.commit(plainApp("early"));
      await early.push();
      const live = await box.live("early");
      const folder = "/opt/deployments/early/instances";
      const units = () => box.must("systemctl list-units --all --plain --no-legend 'early@*' | cut -d' ' -f1 | sort");
      const waiting = () => box.must(`find ${folder} -type p`);
      const patient = `build: ${JSON.stringify(PATIENT_BUILD)}\n`;

      await early.commit(plainApp("early", `build: ${JSON.stringify(`${PATIENT_BUILD}; false`)}\n`), "fails");
      const failing = early.failingPush();
      await until("its unit waits", async () => (await waiting()) !== "" && (await units()).split("\n").length === 2);
      await box.must("touch /opt/deployments/early/home/go");
      await failing;
      expect([await units(), await waiting()]).toEqual([`early@${live}.service`, ""]);

      await box.must("rm /opt/deployments/early/home/go");
      await early.commit(plainApp("early", patient), "is killed");
      const cut = Bun.spawn(early.pushArgv(), {
        cwd: early.dir,
        env: early.env,
        stdio: ["ignore", "ignore", "ignore"],
      });
      await until("its unit waits", async () => (await waiting()) !== "" && (await units()).split("\n").length === 2);
      await box.must(`kill -KILL $(sed -E 's/.*"pid":([0-9]+).*/\\1/' /opt/deployments/early/lock)`);
      expect(await cut.exited).not.toBe(0);
      await box.must("touch /opt/deployments/early/home/go");
      await early.commit({}, "after that");
      await early.push();
      expect([await units(), await waiting()]).toEqual([`early@${await box.live("early")}.service`, ""]);
      expect(await box.live("early")).not.toBe(live);
    } finally {
      await box.mustDp("destroy", "early", "--yes");
      early.remove();
    }
  }, 120_000);

  test("a second push waits for the first, and the newest wins", async () => {
    await shop.commit(plainApp("shop", `build: ${JSON.stringify(PATIENT_BUILD)}\n`), "slow");
    const slow = await shop.git("rev-parse", "HEAD");
    const first = shop.startPush();
    await shop.stepIs("build", "running", slow);
    const sha = await shop.commit(plainApp("shop"), "quick");
    const second = shop.push();
    await box.untilRun("shop", "the second push has come", ({ facts }) => facts.sha === sha);
    await box.must(`touch ${HOME}/go`);
    expect((await second).text).toContain("waiting for deploy");
    await first.exited;
    expect([sha7(await box.live("shop")), await box.branch("shop")]).toEqual([sha.slice(0, 7), sha]);
    await shop.expectOne(await box.live("shop"));
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
