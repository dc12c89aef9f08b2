// The test server itself: what every test on top of it takes for granted.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ownGroups } from "../support/box-image.ts";
import { type Box, boxUnavailable, startBox, until } from "../support/box.ts";

const why = boxUnavailable();

describe.skipIf(why !== null)(`box${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: Box;
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "dp-box-test-"));
    box = await startBox("smoke");
  });
  afterAll(async () => {
    await box?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test("runs systemd as PID 1, and nothing has failed", async () => {
    expect(await box.must("cat /proc/1/comm")).toBe("systemd");
    expect(await box.must("systemctl is-system-running")).toBe("running");
    expect(await box.must("hostname")).toBe(box.name);
  });

  test("a failing command is an answer of ssh, and an error of must", async () => {
    expect(await box.ssh("echo out; echo err >&2; exit 3")).toMatchObject({
      code: 3,
      stdout: "out\n",
      stderr: "err\n",
    });
    await expect(box.must("echo broken >&2; false")).rejects.toThrow(/exited with code 1:\nbroken/);
  });

  test("root's commands share a connection, also many at once; a fresh one and another user's do not", async () => {
    const ask = "echo $SSH_CLIENT";
    const one = await box.must(ask);
    expect(await Promise.all(Array.from({ length: 20 }, () => box.must(ask)))).toEqual(Array(20).fill(one));
    await box.must("useradd -m -s /bin/sh ann");
    for (const options of [{ isFresh: true }, { user: "ann" }]) expect(await box.must(ask, options)).not.toBe(one);
    await box.reboot();
    expect(await box.must(ask)).not.toBe(one);
  });

  test("an array reaches the program word by word", async () => {
    const words = ["a b", "$HOME", "it's", "", "*", "new\nline"];
    expect(await box.must(["printf", "<%s>", ...words])).toBe(words.map((word) => `<${word}>`).join(""));
  });

  test("copies files with their mode, folders, and text", async () => {
    writeFileSync(join(folder, "run"), "#!/bin/sh\necho ran\n");
    chmodSync(join(folder, "run"), 0o755);
    await box.copyIn(join(folder, "run"), "/opt/copied/run");
    await box.copyIn(folder, "/opt/folder");
    await box.write("/opt/text", "line\n\n", 0o600);
    expect(await box.must("/opt/copied/run && /opt/folder/run && stat -c '%a %U' /opt/text")).toBe(
      "ran\nran\n600 root",
    );
    expect(await box.read("/opt/text")).toBe("line\n\n");
  });

  test("the host's /tmp is not the box's", async () => {
    expect(await box.must("ls -A /tmp")).not.toContain("dp-box-");
    expect(await box.must("findmnt -no FSTYPE /tmp")).toBe("tmpfs");
  });

  test("takes a git push over ssh, and the server's hook speaks", async () => {
    const repo = join(folder, "repo");
    const git = async (...argv: string[]) => {
      const env = {
        PATH: process.env["PATH"]!,
        GIT_SSH_COMMAND: box.gitSsh,
        GIT_CONFIG_GLOBAL: "/dev/null",
        GIT_CONFIG_SYSTEM: "/dev/null",
      };
      const identity = ["-c", "user.name=dp", "-c", "user.email=dp@localhost"];
      const child = Bun.spawn(["git", ...identity, ...argv], { cwd: folder, env, stdout: "pipe", stderr: "pipe" });
      const [code, out, err] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
      expect(`${code} ${code === 0 ? "" : err}`).toBe("0 ");
      return out.trim() + err;
    };
    await box.must("git init -q --bare /var/repos/app.git");
    await box.write("/var/repos/app.git/hooks/post-receive", "#!/bin/sh\necho from the hook\n", 0o755);
    await git("init", "-q", "-b", "main", repo);
    await git("-C", repo, "commit", "-q", "--allow-empty", "-m", "first");
    const said = await git("-C", repo, "push", box.gitUrl("/var/repos/app.git"), "main");
    expect(said).toContain("remote: from the hook");
    expect(await box.must("git -C /var/repos/app.git rev-parse main")).toBe(await git("-C", repo, "rev-parse", "main"));
  });

  test("a power cut ends everything, and a boot brings the files and enabled units back", async () => {
    await box.write(
      "/etc/systemd/system/beat.service",
      "[Service]\nExecStart=sleep infinity\n[Install]\nWantedBy=multi-user.target\n",
    );
    await box.must(
      "systemctl enable -q --now beat && echo kept > /srv/kept && sync /srv/kept && echo gone > /run/gone",
    );
    const before = await box.must("cat /proc/sys/kernel/random/boot_id; systemctl show -P InvocationID beat");
    await box.powerCut();
    expect((await box.ssh("true", { timeout: 15_000 })).code).not.toBe(0);
    await box.boot();
    expect(await box.read("/srv/kept")).toBe("kept\n");
    expect((await box.ssh("cat /run/gone")).code).toBe(1);
    expect(await box.must("systemctl is-active beat")).toBe("active");
    expect(await box.must("cat /proc/sys/kernel/random/boot_id; systemctl show -P InvocationID beat")).not.toBe(before);
  });

  test("a reboot shuts the services down first", async () => {
    const unit = "[Service]\nExecStart=sleep infinity\nExecStop=touch /srv/stopped\n";
    await box.write("/etc/systemd/system/last.service", unit);
    await box.must("systemctl daemon-reload && systemctl start last");
    await box.reboot();
    expect(await box.must("ls /srv/stopped")).toBe("/srv/stopped");
  });

  test("two boxes do not see each other's services, and a stopped one leaves nothing", async () => {
    const other = await startBox("other");
    try {
      await other.must("systemctl stop dbus.socket dbus.service");
      expect(await box.must("systemctl is-active dbus")).toBe("active");
      expect(other.port).not.toBe(box.port);
    } finally {
      await other.stop();
    }
    await other.stop();
    expect(existsSync(other.dir)).toBe(false);
    const name = other.dir.split("/").at(-1)!;
    for (const group of ownGroups()) expect(readdirSync(group)).not.toContain(name);
    expect(await box.must("hostname")).toBe(box.name);
  });

  test("the box of a test run that was killed goes away by itself", async () => {
    const script = `import { startBox } from ${JSON.stringify(join(import.meta.dir, "../support/box.ts"))};
      const box = await startBox("orphan"); console.log(box.dir); setInterval(() => {}, 1000);`;
    const owner = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "inherit", env: process.env });
    const line = await owner.stdout.getReader().read();
    const dir = new TextDecoder().decode(line.value).trim();
    try {
      expect(existsSync(join(dir, "owner"))).toBe(true);
    } finally {
      owner.kill("SIGKILL");
    }
    await owner.exited;
    await until(`${dir} is gone`, () => !existsSync(dir), 20_000);
  });
});

test.each([
  [
    "hybrid",
    "9:name=systemd:/user\n8:pids:/p\n0::/own\n",
    "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids",
    ["/sys/fs/cgroup/systemd/user", "/sys/fs/cgroup/unified/own"],
  ],
  [
    "unified",
    "0::/user.slice/session-1.scope\n",
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw,nsdelegate",
    ["/sys/fs/cgroup/user.slice/session-1.scope"],
  ],
  [
    "part of a tree",
    "0::/docker/abc/x\n",
    "31 23 0:28 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw",
    ["/sys/fs/cgroup/x"],
  ],
  ["none", "0::/\n", "31 23 0:28 / /proc rw - proc proc rw", []],
])("the control groups of a process: %s", (_name, groups, mounts, expected) => {
  expect(ownGroups(false, groups, mounts)).toEqual(expected);
});

test("the control groups of a process, with all controllers", () => {
  const groups = "9:name=systemd:/user\n8:pids:/p\n3:cpu,cpuacct:/c\n0::/own\n";
  const mounts = `39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
42 31 0:39 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpuacct,cpu`;
  const found = ["pids/p", "systemd/user", "unified/own", "cpu,cpuacct/c"].map((path) => `/sys/fs/cgroup/${path}`);
  expect(ownGroups(true, groups, mounts)).toEqual(found);
});
