// Settings, one-off commands and the end of an app where root matters: users, units, a real terminal over ssh.
// The tests build on each other, on one server with two neighbours, one of them called almost the same.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Report } from "../../lib/fleet/document.ts";
import type { AuditLine } from "../../lib/host/audit.ts";
import { boxUnavailable, freePort, until } from "../support/box.ts";
import { DUMP, DUMPS, ODD_VALUES, valuesIn } from "../support/odd-values.ts";
import { plainApp } from "../support/server-apps.ts";
import { type Server, startServer } from "../support/server-box.ts";
import { type Laptop, openLaptop } from "../support/server-laptop.ts";
import { inTerminal } from "../support/typed.ts";

const why = boxUnavailable();
// Not that of a test that looks for it among the arguments of all processes.
const SECRET = "corr3ct-horse-and-staple";
const words = (values: Record<string, string>) => Object.entries(values).map(([name, value]) => `${name}=${value}`);
const NAMES = ["foo", "foobar", "bar"] as const;

describe.skipIf(why !== null)(`three apps${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: Server;
  const laptops: Laptop[] = [];
  const ports: Record<string, number> = {};

  beforeAll(async () => {
    box = await startServer("commands");
    for (const name of NAMES) {
      ports[name] = await freePort();
      await box.must(["dp", "setup", name, "--port", String(ports[name])]);
      await box.hurry(name);
      const laptop = await openLaptop(box, name);
      laptops.push(laptop);
      await laptop.commit({ ...plainApp(name, name === "foo" ? DUMPS : ""), ...DUMP });
      if (name === "foo") await box.must(["dp", "env", name, "set", ...words(ODD_VALUES)]);
      await laptop.push();
    }
  }, 240_000);
  afterAll(async () => {
    for (const laptop of laptops) laptop.remove();
    await box?.stop();
  });

  const valuesOf = async (path: string) =>
    valuesIn(Buffer.from(await box.must(`base64 -w0 < ${path}`), "base64").toString());
  const environmentOf = async (app: string) => {
    const [id] = await box.instances(app);
    const pid = await box.must(["systemctl", "show", "--value", "-p", "MainPID", `${app}@${id}`]);
    return valuesOf(`/proc/${pid}/environ`);
  };

  test("a report has what systemd and the kernel know of the apps, and a timer writes the metrics", async () => {
    const report = JSON.parse(await box.mustDp("report", "--json")) as Report;
    expect(report.apps.map(({ app, state, manager }) => [app, state, manager])).toEqual(
      [...NAMES].sort().map((name) => [name, "ok", "systemd"]),
    );
    for (const { mem, procs, minutes, ms } of report.apps) {
      expect(mem!).toBeGreaterThan(1024 ** 2);
      expect(procs).toEqual({ running: 1, wanted: 1 });
      expect(minutes!.reduce((sum, [all]) => sum + all, 0)).toBeGreaterThan(0);
      expect(ms!).toBeGreaterThan(0);
    }
    await box.must(["mkdir", "/srv/metrics"]);
    await box.must(["dp", "metrics", "--install", "/srv/metrics"]);
    await until(
      "the timer has written",
      async () => (await box.ssh(["test", "-s", "/srv/metrics/dp.prom"])).code === 0,
    );
    const text = await box.must(["cat", "/srv/metrics/dp.prom"]);
    for (const name of NAMES) expect(text).toContain(`dp_app_up{app="${name}"} 1\n`);
    expect(await box.must(["stat", "-c", "%a", "/srv/metrics/dp.prom"])).toBe("644");
    const written = () => box.must(["stat", "-c", "%i", "/srv/metrics/dp.prom"]);
    const before = await written();
    await until("it has written again", async () => (await written()) !== before);
    expect(await box.must(["dp", "metrics", "--install", "/srv/metrics"])).not.toContain("wrote");
    await box.must(["dp", "metrics", "--uninstall"]);
    expect(await box.must("ls /etc/systemd/system | grep -c dp-metrics || true")).toBe("0");
    expect((await box.ssh(["systemctl", "is-active", "dp-metrics.timer"])).code).not.toBe(0);
  }, 120_000);

  test("settings reach the unit, build, hooks, jobs and dp run as they are", async () => {
    await box.mustDp("cron", "run", "foo", "dump");
    const seen: Record<string, Record<string, string>> = {
      app: await environmentOf("foo"),
      run: valuesIn((await box.dp("run", "foo", "--", "env", "-0")).stdout),
    };
    for (const name of ["build/home/build", "home/pre", "home/post", "home/cron"])
      seen[name] = await valuesOf(`/opt/deployments/foo/${name}`);
    for (const [where, env] of Object.entries(seen))
      expect([where, env]).toEqual([where, expect.objectContaining({ ...ODD_VALUES, DP_APP: "foo" })]);
  }, 60_000);

  test("a change of them is a new instance; the file stays the operator's", async () => {
    const before = await box.live("foo");
    await box.must("chown root:adm /opt/deployments/foo/.env.production");
    const said = await box.must(["dp", "env", "foo", "set", ...words({ SECRET, COLOUR: "blue" })]);
    expect(said).toContain(`restarts ${before}, set SECRET, COLOUR`);
    const live = await box.live("foo");
    expect(live).not.toBe(before);
    expect(await box.instances("foo")).toEqual([live]);
    expect(await environmentOf("foo")).toMatchObject({ ...ODD_VALUES, SECRET, DP_RELEASE: live });
    expect(await box.must("stat -c '%U:%G %a' /opt/deployments/foo/.env.production")).toBe("root:adm 600");
    expect(await box.must(`systemctl is-enabled foo@${live}`)).toBe("enabled");
    expect(await box.get(ports["foo"]!)).toBe(live);
  }, 60_000);

  test("the restarted release comes up after a reboot, with its settings", async () => {
    await box.reboot();
    const live = await box.live("foo");
    await box.must(`systemctl stop foo@${live}`);
    await box.must("systemctl start dp-reconcile --wait");
    expect((JSON.parse(await box.mustDp("audit", "foo", "-n", "1", "--json")) as AuditLine[])[0]).toMatchObject({
      ...{ what: "reconcile", detail: `started foo@${live}`, by: "system", result: "ok" },
    });
    expect(await box.get(ports["foo"]!)).toBe(live);
    expect(await environmentOf("foo")).toMatchObject({ SECRET });
    const said = await box.must(["dp", "rollback", "foo", "--with-env"]);
    expect(said).toContain("wrote .env.production");
    expect(await environmentOf("foo")).not.toHaveProperty("SECRET");
    await box.must(["dp", "env", "foo", "set", `SECRET=${SECRET}`]);
  }, 120_000);

  test("dp run is the app's user, with nothing of root's", async () => {
    const live = await box.live("foo");
    const script =
      'id -un; id -Gn; pwd -P; grep -E "^(CapEff|CapInh|NoNewPrivs)" /proc/self/status; echo "$SECRET"; cat /opt/deployments/foo/.env.production';
    const { code, stdout, stderr } = await box.dp("run", "foo", "--", "sh", "-c", `${script}; exit 9`);
    const tree = await box.must(["realpath", `/opt/deployments/foo/releases/${live}`]);
    expect([code, stdout.trimEnd().split("\n")]).toEqual([
      9,
      ["dp-foo", "dp-foo", tree, "CapInh:\t0000000000000000", "CapEff:\t0000000000000000", "NoNewPrivs:\t1", SECRET],
    ]);
    expect(stderr).toContain("Permission denied");
    expect((await box.dp("run", "foo", "--", "env")).stdout).not.toMatch(/SSH_|SUDO_|LOGNAME=root/);
  });

  test("over ssh with a terminal: it belongs to the app's user, has the window's size, and passes keys and code on", async () => {
    const line =
      'dp run foo -- sh -c \'stat -c "tty of %U" "$(tty)"; echo shown > "$(tty)"; stty size; read -r word; echo "got $word"; exit 6\'';
    const typed = inTerminal(["ssh", "-tt", ...box.sshArgs, "root@127.0.0.1", line], { PATH: process.env["PATH"]! });
    await typed.sees("31 91");
    expect(typed.shown()).toContain("tty of dp-foo\n");
    expect(typed.shown()).toContain("shown\n");
    typed.type("hello\r");
    expect(await typed.done).toBe(6);
    expect(typed.shown()).toContain("got hello\n");
  }, 60_000);

  test("dp logs shows times and the process, of the journal", async () => {
    const live = await box.live("foo");
    expect(await box.mustDp("logs", "foo", "-n", "1", "--grep", "listening")).toMatch(
      new RegExp(`^\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z web\\[${live}\\]: listening as ${live}$`),
    );
    expect(await box.mustDp("logs", "foo", "--since", "0s")).toBe("");
  });

  test("dp apps tells of all of them", async () => {
    const rows = JSON.parse(await box.mustDp("apps", "--json")) as {
      app: string;
      manager: string;
      process: { state: string };
    }[];
    expect(rows.map(({ app, manager, process }) => [app, manager, process.state])).toEqual(
      ["bar", "foo", "foobar"].map((app) => [app, "systemd", "running"]),
    );
  });

  test("the audit log names who pushed, and with ExposeAuthInfo by which key, and who is behind sudo", async () => {
    const last = async () => (JSON.parse(await box.mustDp("audit", "bar", "-n", "1", "--json")) as AuditLine[])[0];
    const push = async () => {
      await laptops[2]!.commit({});
      await laptops[2]!.push();
      return last();
    };
    expect(await push()).not.toHaveProperty("key");
    await box.write("/etc/ssh/sshd_config.d/who.conf", "ExposeAuthInfo yes\n");
    await box.must("useradd --create-home --shell /bin/bash ann && echo 'ann ALL=NOPASSWD: ALL' >/etc/sudoers.d/ann");
    await box.must("systemctl reload ssh");
    await until(
      "sshd lets in again",
      async () => (await box.ssh('test -f "$SSH_USER_AUTH"', { isFresh: true })).code === 0,
    );
    // The length, the fingerprint, who made it, the kind.
    const key = (await box.must("ssh-keygen -l -f /etc/ssh/box_key.pub")).split(" ")[1]!;
    expect(await push()).toMatchObject({ what: "deploy", by: "root@127.0.0.1", key, result: "ok" });
    await box.must("sudo dp lock bar", { user: "ann" });
    // Where from is asked of sshd: what the login says of itself behind sudo is the user's own word.
    const { key: none, ...line } = (await last())!;
    expect([none, line]).toEqual([undefined, expect.objectContaining({ what: "lock", by: "ann@127.0.0.1" })]);
    await box.mustDp("unlock", "bar");
    await box.must("SSH_CONNECTION='203.0.113.5 1 192.0.2.1 22' sh -c 'sudo dp lock bar; true'", { user: "ann" });
    expect((await last())?.by).toBe("ann@127.0.0.1");
    await box.mustDp("unlock", "bar");
  }, 60_000);

  test("dp doctor has nothing to say of healthy apps, and mends units, owners and what comes up at boot", async () => {
    expect(await box.mustDp("doctor")).toBe("nothing wrong: the server, bar, foo, foobar");
    const live = await box.live("bar");
    await box.must("echo '# more' >> /etc/systemd/system/bar@.service");
    await box.must("rm /etc/systemd/system/dp-reconcile.service");
    await box.must("chown dp-foo /opt/deployments/bar/shared && chmod 644 /opt/deployments/bar/config.yml");
    await box.must(`systemctl disable --quiet bar@${live} && systemctl kill -s KILL bar@${live}`);
    const asked = await box.dp("doctor", "--json");
    expect(asked.code).toBe(7);
    const { found } = JSON.parse(asked.stdout) as { found: { check: string; what: string; command: string }[] };
    const told = found.map(({ check, command }) => `${check}: ${command}`);
    for (const line of [
      "units: dp setup bar",
      "rights: dp setup bar",
      "rights: dp doctor bar --fix",
      "fronts: dp reconcile",
      "instances: dp reconcile",
    ])
      expect(told).toContain(line);
    expect(found.map(({ what }) => what).join()).toContain("dp-reconcile.service is missing");
    const fixed = await box.mustDp("doctor", "--fix");
    expect(fixed).toEndWith("nothing wrong: the server, bar, foo, foobar");
    expect(await box.must(`systemctl is-enabled bar@${live}`)).toBe("enabled");
    expect(await box.get(ports["bar"]!)).toBe(live);
  }, 60_000);

  test("dp selftest proves it with systemd, as root, and leaves nothing", async () => {
    const said = await box.mustDp("selftest");
    expect(said.split("\n").filter((line) => !line.startsWith("passed"))).toEqual([
      expect.stringMatching(/^RESULT +TOOK +WHAT$/),
    ]);
    const left =
      "find / -xdev -name '*dp-selftest*' -not -path '/proc/*' | grep -v '^/var/log/journal'; getent passwd | grep selftest; true";
    expect(await box.must(left)).toBe("");
  }, 120_000);

  test("destroy takes units, user, processes, port and files of one, and nothing of the others", async () => {
    const others = async () => {
      const shown = ["foobar", "bar"].map(async (app) => [
        await box.live(app),
        await box.instances(app),
        await box.get(ports[app]!),
      ]);
      const pids = await box.must("systemctl show --value -p MainPID 'foobar@*' 'bar@*'");
      return [await Promise.all(shown), pids, await box.must("id -u dp-foobar dp-bar 2>&1 || true; ls /var/repos")];
    };
    const before = await others();
    await box.must("install -d /etc/systemd/system/foo@.service.d");
    await box.must("printf '[Service]\\nNice=1\\n' > /etc/systemd/system/foo@.service.d/override.conf");
    await box.must(
      "setsid setpriv --reuid=dp-foo --clear-groups --regid=dp-foo -- sleep 1234 >/dev/null 2>&1 </dev/null & true",
    );
    const said = await box.must(["dp", "destroy", "foo", "--yes"]);
    expect(said).toContain("removed the system user dp-foo");
    const left = await box.must(
      "ls -d /opt/deployments/foo /var/repos/foo.git /var/log/deployments/foo /etc/systemd/system/foo@* /etc/systemd/system/*.wants/foo@* 2>/dev/null; " +
        "getent passwd dp-foo; getent group dp-foo; pgrep -af '[s]leep 1234'; systemctl list-units --all --plain --no-legend 'foo@*'; true",
    );
    expect(left).toBe("");
    const archive = /are in (\S+)/.exec(said)![1]!;
    expect(await box.must(["stat", "-c", "%U %a", archive])).toBe("root 600");
    expect(await box.must(["tar", "-xzOf", archive, "./.env.production"])).toContain(SECRET);
    const after = await others();
    expect(after.slice(0, 2)).toEqual(before.slice(0, 2));
    expect((await box.dp("status", "foo")).code).toBe(2);
    await expect(box.get(ports["foo"]!)).rejects.toThrow();
    // And the name is free again.
    await box.must(["dp", "setup", "foo", "--port", String(ports["foo"])]);
    await laptops[0]!.push();
    expect(await box.get(ports["foo"]!)).toBe(await box.live("foo"));
  }, 120_000);
});
