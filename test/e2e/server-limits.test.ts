// What a build or hook may take of a real server: its scope, its rank, its end, and a manager that does not come back.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { boxUnavailable, freePort, until } from "../support/box.ts";
import { PATIENT_BUILD, plainApp } from "../support/server-apps.ts";
import { type Server, startServer } from "../support/server-box.ts";
import { type Laptop, openLaptop } from "../support/server-laptop.ts";

const why = boxUnavailable();
const BASE = "/opt/deployments/shop";
/** How long processes sleep that are left behind, by their names: so they are found, for they have other numbers inside. */
const SECONDS = { left: 100_001, late: 100_002, orphan: 100_003 };
type Name = keyof typeof SECONDS;
/** Leaves a process that no group, session or variable leads to, and makes a file of this name. */
const daemon = (name: Name) =>
  `echo "cd; echo x > ${name}; exec sleep ${SECONDS[name]}" | setsid env -i HOME="$HOME" sh 2>/dev/null >/dev/null`;
const LEAVE = (name: Name) => `${daemon(name)} & until [ -s "$HOME/${name}" ]; do sleep 0.05; done`;

describe.skipIf(why !== null)(`limits on a server${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: Server;
  let shop: Laptop;
  let port = 0;

  beforeAll(async () => {
    box = await startServer("limits");
    shop = await openLaptop(box, "shop");
    port = await freePort();
    await box.mustDp("setup", "shop", "--port", `${port}`);
    await box.hurry("shop");
    await box.must(`echo 'build: {memory: 700m, cpus: 1.5, pids: 300}' >> ${BASE}/config.yml`);
    await shop.commit(plainApp("shop"), "first");
    await shop.push();
  });
  afterAll(async () => {
    shop?.remove();
    await box?.stop();
  });
  beforeEach(() => box.must(`rm -f ${BASE}/home/*`));

  const scopes = () => box.must("systemctl list-units --plain --no-legend 'dp-build.*' | cut -d' ' -f1");
  const pidOf = async (name: Name) => (await box.ssh(["pgrep", "-f", `^sleep ${SECONDS[name]}`])).stdout.trim();
  const isGone = async (name: Name) => (await pidOf(name)) === "";
  const yml = (line: string) => plainApp("shop", `build: ${JSON.stringify(line)}\n`);

  test("a build runs in a scope of its own, by the app's builder, ranked below the app; what it leaves ends with it", async () => {
    const line = `${LEAVE("left")}; cat /proc/self/oom_score_adj; nice; grep NoNewPrivs /proc/self/status; env; ${PATIENT_BUILD}`;
    await shop.commit(yml(line));
    const push = shop.push();
    let scope = "";
    await until("the build waits", async () => {
      scope = await scopes();
      return scope !== "" && !(await isGone("left"));
    });
    expect(scope).toMatch(/^dp-build\.shop\.2-[0-9a-f]{7}\.\d+-\d+\.scope$/);
    const names = ["Slice", "CPUWeight", "IOWeight", "TasksMax", "MemoryMax", "MemorySwapMax", "CPUQuotaPerSecUSec"];
    const shown = await box.must(["systemctl", "show", ...names.map((name) => `--property=${name}`), scope]);
    expect(shown.split("\n").toSorted()).toEqual(
      [
        ...["Slice=system.slice", "CPUWeight=20", "IOWeight=20", "TasksMax=300"],
        ...[`MemoryMax=${700 * 1024 * 1024}`, "MemorySwapMax=0", "CPUQuotaPerSecUSec=1.500000s"],
      ].toSorted(),
    );
    const group = await box.must(["systemctl", "show", "-P", "ControlGroup", scope]);
    const left = await pidOf("left");
    expect(await box.must(["cat", `/proc/${left}/cgroup`])).toContain(`:${group}\n`);
    expect(await box.must(["stat", "-c", "%U", `/proc/${left}`])).toBe("dpb-shop");
    expect(await isGone("left")).toBe(false);
    await box.must(`touch ${BASE}/home/go`);
    const { text } = await push;
    expect(text).toMatch(/\| 500 *\n.*\| 10 *\n.*\| NoNewPrivs:\s+1 *\n/);
    expect(text).not.toMatch(/\| (SYSTEMD_|INVOCATION|DBUS|SSH_|SUDO_)/);
    expect([await isGone("left"), await scopes()]).toEqual([true, ""]);
    // The app itself is nothing of the kind.
    const unit = `shop@${await box.live("shop")}`;
    const app = await box.must(["systemctl", "show", "-P", "MainPID", unit]);
    expect(await box.must(["cat", `/proc/${app}/oom_score_adj`])).toBe("200");
    const own = "systemctl show -P Restart -P StartLimitBurst -P OOMPolicy -P TasksMax -P Slice";
    expect((await box.must(`${own} ${unit}`)).split("\n").toSorted()).toEqual(
      ["always", "5", "stop", "4096", "system-shop.slice"].toSorted(),
    );
  });

  test("a build that fails keeps its own exit code, and one that is killed its signal", async () => {
    await shop.commit(yml("echo to stderr > /dev/stderr; exit 41"));
    expect((await shop.failingPush()).text).toMatch(/\| to stderr[\s\S]*exited with code 41/);
    await shop.commit(yml("kill -SEGV $$"));
    expect((await shop.failingPush()).text).toContain("was killed by SIGSEGV");
    expect(await scopes()).toBe("");
  });

  test("a hook that runs out of time ends with all that it started", async () => {
    await box.must(`echo 'stepTimeout: 6s' >> ${BASE}/config.yml`);
    try {
      const hook = `trap '' TERM; ${LEAVE("late")}; sleep 1000`;
      await shop.commit(plainApp("shop", `hooks:\n  preDeploy: ${JSON.stringify(hook)}\n`));
      expect((await shop.failingPush()).text).toContain("did not end within 6 s and was stopped");
    } finally {
      await box.must(`sed -i '/^stepTimeout/d' ${BASE}/config.yml`);
    }
    expect([await isGone("late"), await scopes()]).toEqual([true, ""]);
  });

  test("what a killed deploy left of its build is ended by the next", async () => {
    await shop.commit(yml(`${LEAVE("orphan")}; [ -e ${BASE}/home/go ] || sleep 1000`));
    const push = shop.failingPush();
    await until("the build waits", async () => !(await isGone("orphan")));
    await box.must("pkill -KILL -f '[ ]serve-git receive-pack '");
    await push;
    expect(await isGone("orphan")).toBe(false);
    expect(await scopes()).not.toBe("");
    await box.must(`touch ${BASE}/home/go`);
    await shop.push();
    expect([await isGone("orphan"), await scopes()]).toEqual([true, ""]);
    expect(await box.get(port)).toBe(await box.live("shop"));
  });
});
