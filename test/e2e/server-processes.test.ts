// Workers and cron on a real server: units of systemd, timers, a reboot. The tests build on each other, on one server.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { CronRow } from "../../lib/commands/cron.ts";
import type { ProcessRow } from "../../lib/commands/ps.ts";
import { boxUnavailable, freePort, until } from "../support/box.ts";
import { FAR } from "../support/far-schedule.ts";
import { addJobs, faultsOf, notesOf, queueApp, upBy } from "../support/queue-app.ts";
import { type Server, startServer } from "../support/server-box.ts";
import { type Laptop, openLaptop } from "../support/server-laptop.ts";

const why = boxUnavailable();
const BASE = "/opt/deployments/shop";
const CRON = `cron:
  - {schedule: "${FAR}", command: 'echo "hand of $DP_RELEASE as $(id -un)"', name: hand}
  - {schedule: "${FAR}", command: "echo no luck; exit 3", name: bad}
  - {schedule: "30 2 1,15 * 5", command: "true", name: both, timeZone: Europe/Berlin}
`;
const CLOCK = `${CRON}  - {schedule: "* * * * *", command: 'echo "tick of $DP_RELEASE as $(id -un)"', name: tick}\n`;
const unitsOf = (...names: string[]) =>
  names.map((name) => `shop.cron.${name}.service shop.cron.${name}.timer`).join(" ");
const UNITS = unitsOf("bad", "both", "hand");

describe.skipIf(why !== null)(`processes on a server${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: Server;
  let shop: Laptop;
  let port = 0;

  beforeAll(async () => {
    box = await startServer("processes");
    shop = await openLaptop(box, "shop");
    port = await freePort();
    await box.mustDp("setup", "shop", "--port", `${port}`);
    await box.hurry("shop");
  });
  afterAll(async () => {
    shop?.remove();
    await box?.stop();
  });

  const live = () => box.live("shop");
  const enabled = async () =>
    (await box.must("ls /etc/systemd/system/multi-user.target.wants | grep ^shop@ | sort")).split("\n");
  const notes = async () => notesOf(await box.must(`cat ${BASE}/shared/notes`));
  const left = async () =>
    Number(await box.must(`ls ${BASE}/shared/todo ${BASE}/shared/doing | grep -c '^[0-9]' || :`));
  const ps = async () => JSON.parse(await box.mustDp("ps", "shop", "--json")) as ProcessRow[];
  const entry = async (name: string) =>
    (JSON.parse(await box.mustDp("cron", "shop", "--json")) as CronRow[]).find((row) => row.name === name)!;

  const expectWell = async (workers: number) => {
    const id = await live();
    const ids = [id, ...Array.from({ length: workers }, (_, index) => `${id}.worker.${index + 1}`)];
    expect((await box.instances("shop")).sort()).toEqual(ids);
    expect(await enabled()).toEqual(ids.map((name) => `shop@${name}.service`).sort());
    const up = Object.fromEntries(ids.slice(1).map((name) => [name.slice(id.length + 1), id]));
    await until("the workers say that they are up", async () => Object.keys(upBy(await notes())).length === workers);
    expect(upBy(await notes())).toEqual(up);
    expect(JSON.parse(await box.mustDp("status", "shop", "--json"))).toMatchObject({
      live: id,
      isHealthy: true,
      strays: [],
    });
  };

  test("a push starts web, a worker and the timers; units pass systemd's own checks", async () => {
    await shop.commit(queueApp("shop", CRON), "first");
    expect((await shop.push()).text).toMatch(/workers .* worker\.1, cron hand runs at 0 0 1 \d+ \*/);
    await expectWell(1);
    expect((await box.must("cd /etc/systemd/system && ls shop.cron.*")).replaceAll("\n", " ")).toBe(UNITS);
    const files = `${UNITS} shop@.service shop.cron@.service`.split(" ").map((unit) => `/etc/systemd/system/${unit}`);
    expect((await box.ssh(`systemd-analyze verify ${files.join(" ")}`)).text).toBe("");
    const timers = await box.must("systemctl list-timers --all --no-legend 'shop.cron.*'");
    expect(timers.split("\n")).toHaveLength(3);
  });

  test("a worker runs as the app's user, in its sandbox, without a port", async () => {
    await box.mustDp("scale", "shop", "worker=2");
    await expectWell(2);
    const rows = await ps();
    expect(rows.map(({ process, state }) => `${process} ${state}`)).toEqual([
      "web.1 running",
      "worker.1 running",
      "worker.2 running",
    ]);
    for (const { pid, memory } of rows) {
      expect(await box.must(`ps -o user= -p ${pid}`)).toBe("dp-shop");
      expect(memory).toBeGreaterThan(1024 * 1024);
    }
    const environ = await box.must(`tr '\\0' '\\n' < /proc/${rows[2]!.pid}/environ`);
    expect(environ).toMatch(/^DP_PROCESS=worker\.2$/m);
    expect(environ).not.toMatch(/^(PORT|DP_HOST)=/m);
    expect(await box.must(`readlink /proc/${rows[2]!.pid}/cwd`)).toBe(`${BASE}/releases/${await live()}`);
    expect((await box.ssh(`nsenter -t ${rows[2]!.pid} -m touch ${BASE}/releases/x`)).text).toContain("Read-only");
    expect(await box.must(`journalctl --no-pager -o cat -u shop@${await live()}.worker.2`)).toContain("ready worker.2");
  });

  test("five pushes under load: every job is done once, no worker runs twice, none of an old release is left", async () => {
    const load = addJobs(port, 60);
    try {
      for (let count = 1; count <= 5; count++) {
        await shop.commit({ "version.txt": `${count}` });
        expect((await shop.push()).text).toMatch(/live: shop .*; requests \d+, failed 0/);
        await expectWell(2);
      }
    } finally {
      await load.stop();
    }
    await until("all jobs are done", async () => (await left()) === 0);
    expect(load.failures).toEqual([]);
    expect(load.jobs.length).toBeGreaterThan(30);
    await until("the last end is noted", async () => faultsOf(await notes(), load.jobs).length === 0);
  }, 300_000);

  test("a worker that crashes at boot fails the push, and the old ones go on", async () => {
    const before = await live();
    await shop.commit({ "worker.py": 'raise SystemExit("there is no queue")\n' });
    const { text } = await shop.failingPush();
    expect(text).toMatch(/FAILED at workers: shop@\d+-\w+\.worker\.\d (is not running: exited with code 1|crashed)/);
    expect(text).toContain("| there is no queue");
    expect([await live(), await box.get(port)]).toEqual([before, before]);
    await expectWell(2);
    expect(await box.mustDp("logs", "shop", "worker", "--failed")).toMatch(/ worker\.\d\[\S+\]: there is no queue$/m);
    const ready = await box.mustDp("logs", "shop", "worker.2", "-n", "1", "--grep", "ready", "--since", "1h");
    expect(ready).toEndWith(` worker.2[${before}]: ready worker.2 ${before}`);
    await shop.git("reset", "-q", "--hard", "HEAD~1");
  });

  test("a process's own stopTimeout is its unit's, and goes with it", async () => {
    const show = (unit: string) => box.must(`systemctl show -P TimeoutStopUSec shop@${unit}`);
    const yml = queueApp("shop", CRON)["deploy.yml"]!.replace(
      "exec python3 worker.py,",
      "exec python3 worker.py, stopTimeout: 7s,",
    );
    await shop.commit({ "deploy.yml": yml });
    await shop.push();
    const with7 = await live();
    expect([await show(`${with7}.worker.1`), await show(with7)]).toEqual(["7s", "30s"]);
    await shop.commit({ "deploy.yml": queueApp("shop", CRON)["deploy.yml"]! });
    await shop.push();
    expect(await show(`${await live()}.worker.1`)).toBe("30s");
    expect(await box.must("ls -d /etc/systemd/system/shop@*.service.d 2>/dev/null || :")).toBe("");
    await expectWell(2);
  });

  test("scale down to none and up again; stop and start", async () => {
    await box.mustDp("scale", "shop", "worker=0");
    await expectWell(0);
    await box.mustDp("scale", "shop", "worker=2");
    await expectWell(2);
    await box.mustDp("stop", "shop", "worker.1");
    expect(await enabled()).toHaveLength(2);
    expect(await box.mustDp("reconcile", "shop")).toContain("nothing to do");
    await box.mustDp("start", "shop");
    await expectWell(2);
  });

  test("dp cron run: output, exit code, and what is noted; no job is left", async () => {
    const id = await live();
    expect(await box.mustDp("cron", "run", "shop", "hand")).toBe(`hand of ${id} as dp-shop`);
    expect(await box.dp("cron", "run", "shop", "bad")).toMatchObject({ code: 6, stdout: "no luck\n" });
    expect((await entry("bad")).last).toMatchObject({ code: 3, release: id });
    expect(await box.must("systemctl list-units --all --no-legend 'shop.cron@*'")).toBe("");
    // In Berlin's winter 02:30 is 01:30 here, in summer 00:30.
    expect((await entry("both")).next).toMatch(/T0[01]:30:00/);
    // The clock there changes: the timer elapses at each moment that may be meant, and the run asks whether it is due.
    expect(await box.must("systemctl cat shop.cron.both.timer | grep OnCalendar")).toBe(
      "OnCalendar=*-*-* 00,01:30:00 UTC",
    );
    expect(await box.must("systemctl cat shop.cron.both.service | grep ExecStart")).toEndWith("both --scheduled --due");
    expect(await box.dp("cron", "run", "shop", "both", "--scheduled", "--due")).toMatchObject({ code: 0, stdout: "" });
  });

  test("timers are set for the live release, and fire in it after a reboot, beside the same processes", async () => {
    await shop.commit({ "deploy.yml": queueApp("shop", CLOCK)["deploy.yml"]! });
    await shop.push();
    expect((await entry("tick")).next! > new Date().toISOString()).toBe(true);
    await box.reboot();
    await until("the app answers", async () => (await box.ssh(`curl -sf http://127.0.0.1:${port}/`)).code === 0);
    await box.must("systemctl is-system-running --wait || :");
    expect(await box.instances("shop")).toHaveLength(3);
    expect(await box.mustDp("reconcile", "shop")).toContain("nothing to do");
    const since = new Date().toISOString();
    const deadline = performance.now() + 150_000;
    while (!(((await entry("tick")).last?.endedAt ?? "") > since)) {
      expect(performance.now()).toBeLessThan(deadline);
      await Bun.sleep(1_000);
    }
    expect((await entry("tick")).last).toMatchObject({ code: 0, release: await live() });
    const said = await box.must(`journalctl --no-pager -o cat -u 'shop.cron@${await live()}.cron.tick'`);
    expect(said).toContain(`tick of ${await live()} as dp-shop`);
    const shown = await box.mustDp("logs", "shop", "cron.tick", "-n", "1");
    expect(shown).toEndWith(` cron.tick[${await live()}]: tick of ${await live()} as dp-shop`);
  }, 420_000);

  test("a rollback and a release without cron take the timers along", async () => {
    await shop.commit({ "deploy.yml": queueApp("shop")["deploy.yml"]! });
    await shop.push();
    expect(await box.must("ls /etc/systemd/system/shop.cron.* 2>/dev/null || :")).toBe("");
    expect(await box.must("systemctl list-timers --all --no-legend 'shop.cron.*'")).toBe("");
    await box.mustDp("rollback", "shop");
    const units = unitsOf("bad", "both", "hand", "tick");
    expect((await box.must("cd /etc/systemd/system && ls shop.cron.*")).replaceAll("\n", " ")).toBe(units);
    expect((await entry("tick")).next).not.toBeNull();
  });

  test("destroy takes workers, timers and units away", async () => {
    await box.mustDp("env", "shop", "set", "--no-restart", "KEPT=yes");
    await box.must(`echo kept | setpriv --reuid=dp-shop --regid=dp-shop --clear-groups tee ${BASE}/shared/kept`);
    await box.mustDp("destroy", "shop", "--yes");
    expect(await box.must("ls -R /etc/systemd/system | grep '^shop' || :")).toBe("");
    expect(await box.must("systemctl list-units --all --no-legend 'shop*'")).toBe("");
    expect(await box.must("ps -u dp-shop -o pid= || :")).toBe("");
  });

  test("what it kept comes back by the commands of docs/removing.md", async () => {
    const [archive] = (await box.must("ls -t /var/backups/dp/shop-*.tar.gz")).split("\n");
    const text = await Bun.file(join(import.meta.dir, "../../docs/removing.md")).text();
    const block = text.split("```sh\n").find((part) => part.startsWith("dp setup shop"))!;
    const commands = block.slice(0, block.indexOf("```")).replaceAll(/\S+shop-TIME\.tar\.gz/g, archive!);
    // The user's number may be another one by now.
    await box.must("userdel dp-shop 2>/dev/null; useradd --system late-comer");
    await box.must(`set -e\n${commands.replace("dp setup shop", `dp setup shop --port ${port}`)}`);
    expect(await box.mustDp("env", "shop", "get", "KEPT")).toBe("yes");
    await shop.commit({});
    await shop.push();
    expect(await box.must(`cat ${BASE}/shared/kept`)).toBe("kept");
    expect(await box.must(`stat -c %U ${BASE}/shared ${BASE}/shared/kept`)).toBe("dp-shop\ndp-shop");
    expect((await box.instances("shop")).sort()).toEqual([await live(), `${await live()}.worker.1`]);
  });
});
