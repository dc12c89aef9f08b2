// pm2 on a real server: its daemon as a unit, the app's user, what a boot brings up, and the way from and to systemd.
// The tests build on each other, in this order, on one server.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { resolve } from "node:path";
import type { CronRow } from "../../lib/commands/cron.ts";
import { boxUnavailable, freePort, until } from "../support/box.ts";
import { pm2Folder } from "../support/pm2.ts";
import { type Server, startServer } from "../support/server-box.ts";
import { type Laptop, openLaptop } from "../support/server-laptop.ts";

// pm2's command takes a second each time, and many on a busy machine.
setDefaultTimeout(60_000);

const why = boxUnavailable();

const SERVER = `
const http = require("node:http");
const fs = require("node:fs");
const attempt = (path, how) => { try { how(path); return "done"; } catch (error) { return error.code; } };
const looks = () => ({
  release: process.env.DP_RELEASE,
  uid: process.getuid(),
  release_: attempt("written", (path) => fs.writeFileSync(path, "")),
  shared: attempt("/opt/deployments/shop/shared/written", (path) => fs.writeFileSync(path, "")),
  config: attempt("/opt/deployments/shop/config.yml", fs.readFileSync),
  other: attempt("/opt/deployments/other", fs.readdirSync),
  runs: attempt("/opt/deployments/shop/runs", fs.readdirSync),
});
http.createServer((request, response) => response.end(request.url === "/looks" ? JSON.stringify(looks()) : process.env.DP_RELEASE))
  .listen(process.env.PORT, process.env.DP_HOST);
`;
const CONFIG = `name: shop
type: node
healthCheck: {path: /health, startTimeout: 30s}
command: node server.js
`;
const CRON = `cron: [{schedule: "@hourly", command: 'echo "tick of $DP_RELEASE as $(id -un)"', name: tick}]\n`;
const TIMER = "/etc/systemd/system/shop.cron.tick.timer.d";
const UNIT = "dp-pm2-shop.service";
const HOME = "/opt/deployments/shop/home/.pm2";

describe.skipIf(why !== null)(`pm2 on a server${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: Server;
  let shop: Laptop;
  let port: number;

  beforeAll(async () => {
    box = await startServer("pm2");
    shop = await openLaptop(box, "shop");
    port = await freePort();
  }, 180_000);
  afterAll(async () => {
    shop?.remove();
    await box?.stop();
  }, 60_000);

  const pm2 = (...args: string[]) =>
    box.must(["sudo", "-u", "dp-shop", "env", `PM2_HOME=${HOME}`, "PM2_DISCRETE_MODE=true", "pm2", ...args]);
  /** Without jobs: these come and go by the clock. */
  const names = async () => {
    const all = JSON.parse((await pm2("jlist")).split("\n").at(-1)!) as { name: string }[];
    return all.map(({ name }) => name).filter((name) => !name.includes(".cron."));
  };
  const status = async () => JSON.parse(await box.mustDp("status", "shop", "--json"));
  const isActive = async (unit: string) => (await box.ssh(["systemctl", "is-active", unit])).stdout.trim();
  const push = async (files: Record<string, string>) => {
    await shop.commit(files);
    const pushed = await shop.push();
    if (!pushed.text.includes("live: shop ")) throw new Error(pushed.text);
    return box.live("shop");
  };
  /** After a boot: the live release answers, pm2 has it and nothing else, and there is nothing to put right. */
  const expectServing = async (id: string) => {
    await until("the release answers", async () => (await box.get(port).catch(() => "")) === id);
    expect(await names()).toEqual([`shop-${id}`]);
    expect(await status()).toMatchObject({ live: id, isHealthy: true, strays: [], process: { state: "running" } });
    expect(await box.mustDp("reconcile", "shop")).toBe("shop: nothing to do");
  };

  test("setup names what is missing, one after the other", async () => {
    const options = ["setup", "shop", "--manager", "pm2", "--port", String(port)];
    const noNode = await box.dp(...options);
    expect(noNode).toMatchObject({ code: 8, stderr: expect.stringContaining("apt install nodejs") });
    await box.must(
      "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends nodejs",
      {
        timeout: 240_000,
      },
    );
    const noPm2 = await box.dp(...options);
    expect(noPm2).toMatchObject({ code: 8, stderr: expect.stringContaining("npm install --global pm2") });
    expect((await box.ssh("test -e /opt/deployments/shop")).code).toBe(1);
    await box.copyIn(resolve(await pm2Folder(), ".."), "/usr/local/lib/pm2/node_modules");
    await box.must("ln -s /usr/local/lib/pm2/node_modules/.bin/pm2 /usr/local/bin/pm2");
    expect(await box.mustDp(...options)).toContain(`wrote /etc/systemd/system/${UNIT}`);
    expect(await box.mustDp("setup", "shop")).toContain("nothing to change for shop");
    await box.must(["systemd-analyze", "verify", `/etc/systemd/system/${UNIT}`]);
    await box.hurry("shop");
  }, 300_000);

  test("a push: the daemon is a unit, and the app is closed in", async () => {
    const id = await push({ "deploy.yml": CONFIG + CRON, "server.js": SERVER });
    await expectServing(id);
    const uid = Number(await box.must("id -u dp-shop"));
    expect(JSON.parse(await box.get(port, "/looks"))).toEqual({
      ...{ release: id, uid, release_: "EROFS", shared: "done" },
      ...{ config: "EACCES", other: "ENOENT", runs: "EACCES" },
    });
    const { pid } = (await status()).process;
    expect(await box.must(`cat /proc/${pid}/cgroup`)).toContain(UNIT);
    expect(await box.must(`stat -c '%a %U' ${HOME}/dump.pm2`)).toBe("600 dp-shop");
    expect(await box.must(["systemctl", "is-enabled", UNIT])).toBe("enabled");
  }, 120_000);

  test("a second push, a bad one, and back", async () => {
    const first = await box.live("shop");
    const second = await push({ "server.js": `${SERVER}// again\n` });
    await expectServing(second);
    await shop.commit({ "server.js": "process.exit(3);\n" });
    const refused = await shop.failingPush();
    expect(refused.text).toMatch(/FAILED at check: .*exited with code 3/);
    await expectServing(second);
    expect((await box.dp("rollback", "shop")).code).toBe(0);
    await expectServing(first);
    expect((await box.dp("logs", "shop", "-n", "5")).code).toBe(0);
  }, 120_000);

  test("a killed daemon comes up again by itself, with the live release", async () => {
    const id = await box.live("shop");
    const before = await box.must(["systemctl", "show", "--property=MainPID", "--value", UNIT]);
    await box.must(`kill -9 ${before}`);
    await until("another daemon", async () => {
      const now = await box.must(["systemctl", "show", "--property=MainPID", "--value", UNIT]);
      return now !== "0" && now !== before && (await isActive(UNIT)) === "active";
    });
    await expectServing(id);
  }, 120_000);

  test("dp doctor names a unit that was changed, a daemon that boot does not start, and a stale pm2 save", async () => {
    const id = await box.live("shop");
    await box.must(`echo '# by hand' >> /etc/systemd/system/${UNIT} && systemctl disable --quiet ${UNIT}`);
    const asked = await box.dp("doctor", "shop");
    expect(asked.code).toBe(7);
    expect(asked.stdout).toContain(`units: /etc/systemd/system/${UNIT} is not as this dp writes it`);
    expect(asked.stdout).toContain(`nothing starts at boot, but it should be shop@${id}`);
    expect(await box.mustDp("doctor", "shop", "--fix")).toEndWith("nothing wrong: shop");
    expect(await box.must(["systemctl", "is-enabled", UNIT])).toBe("enabled");
    await box.must(`sed -i s/shop-${id}/shop-9-abcdef0/ ${HOME}/dump.pm2`);
    const stale = `shop@9-abcdef0 starts at boot, but it should be shop@${id}`;
    expect((await box.dp("doctor", "shop")).stdout).toContain(stale);
    expect(await box.mustDp("doctor", "shop", "--fix")).toEndWith("nothing wrong: shop");
    await expectServing(id);
  }, 120_000);

  test("after a power cut, and after an orderly reboot, the live release serves, and its jobs run in it", async () => {
    const id = await box.live("shop");
    expect(await box.must("systemctl is-enabled shop.cron.tick.timer")).toBe("enabled");
    // Nobody waits for the full hour: the timer is the entry's, and comes more often by the operator's own word.
    await box.must(`mkdir ${TIMER} && printf '[Timer]\\nOnCalendar=*:*:0/5\\n' > ${TIMER}/often.conf`);
    await box.powerCut();
    await box.boot();
    await expectServing(id);
    await box.reboot();
    const since = new Date().toISOString();
    await expectServing(id);
    const last = async () => (JSON.parse(await box.mustDp("cron", "shop", "--json")) as CronRow[])[0]!.last;
    let fired: Awaited<ReturnType<typeof last>> = null;
    await until("the clock fires", async () => {
      // A job that pm2 is just about to start, or that has just ended, is no stray either.
      expect(await box.mustDp("reconcile", "shop")).toBe("shop: nothing to do");
      fired = await last();
      return (fired?.endedAt ?? "") > since;
    });
    expect(fired).toMatchObject({ code: 0, release: id });
    expect(await box.mustDp("logs", "shop", "cron.tick", "-n", "1")).toEndWith(
      ` cron.tick[${id}]: tick of ${id} as dp-shop`,
    );
    await box.must(`rm -r ${TIMER}`);
  }, 180_000);

  test("workers of node, and what a boot makes of them", async () => {
    await box.must("echo 'instances: 2' >> /opt/deployments/shop/config.yml");
    const id = await push({ "deploy.yml": CONFIG, "server.js": `${SERVER}// in two\n` });
    expect(await box.must("ls /etc/systemd/system | grep ^shop.cron || :")).toBe("");
    expect(await names()).toEqual([`shop-${id}`, `shop-${id}`]);
    await box.powerCut();
    await box.boot();
    await until("the release answers", async () => (await box.get(port).catch(() => "")) === id);
    expect(await names()).toEqual([`shop-${id}`, `shop-${id}`]);
    expect(await box.mustDp("reconcile", "shop")).toBe("shop: nothing to do");
    await box.must("sed -i /^instances:/d /opt/deployments/shop/config.yml");
  }, 180_000);

  test("the next deploy moves the app to systemd, and a boot brings up nothing else", async () => {
    expect(await box.mustDp("setup", "shop", "--manager", "systemd")).toContain("manager is now systemd, it was pm2");
    const id = await push({ "server.js": `${SERVER}// moved\n` });
    expect(await box.get(port)).toBe(id);
    expect(await box.instances("shop")).toEqual([id]);
    expect(await isActive(UNIT)).toBe("inactive");
    expect((await box.ssh(["systemctl", "is-enabled", UNIT])).stdout.trim()).toBe("disabled");
    await box.powerCut();
    await box.boot();
    await until("the release answers", async () => (await box.get(port).catch(() => "")) === id);
    expect(await isActive(UNIT)).toBe("inactive");
    expect((await box.ssh("pgrep -u dp-shop -f 'God Daemon'")).code).toBe(1);
  }, 180_000);
});
