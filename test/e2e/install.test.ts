// install.sh as root on a real server: what everybody gets, and what stays when it goes.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Box, boxUnavailable, startBox } from "../support/box.ts";

const why = boxUnavailable();

describe.skipIf(why !== null)(`install.sh as root${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: Box;
  beforeAll(async () => {
    box = await startBox("install");
    await box.copyTree("/srv/dp");
    await box.copyIn(process.execPath, "/usr/local/lib/bun");
    // A strict umask and a lack of network must not matter: the packages are in the clone.
    await box.must("umask 077; DP_BUN=/usr/local/lib/bun unshare -n /srv/dp/install.sh");
  });
  afterAll(async () => {
    await box?.stop();
  });

  test("every account can run it, and nobody but root can change it", async () => {
    const answer = /^dp \d+\.\d+\.\d+$/;
    expect(await box.must("dp --version")).toMatch(answer);
    expect(await box.must("su nobody -s /bin/sh -c 'deploy-paradigm --version'")).toMatch(answer);
    expect(await box.must("find /opt/dp/ /opt/dp.d /usr/local/bin ! -user root")).toBe("");
    expect(await box.must("find /opt/dp/ /opt/dp.d ! -type l -perm /022")).toBe("");
    expect(await box.must("find /opt/dp/ ! -type l ! -perm 755 ! -perm 644")).toBe("");
  });

  test("it does not need the Bun it was installed with", async () => {
    await box.must("rm /usr/local/lib/bun");
    expect(await box.must("env -i /usr/local/bin/dp --version")).toMatch(/^dp /);
    expect((await box.ssh("/srv/dp/install.sh")).stderr).toContain("is up to date in /opt/dp");
  });

  test("a Bun of another user is copied, not linked", async () => {
    await box.must(
      "useradd -m owner && cp --remove-destination /opt/dp/bun/bin/bun /home/owner/bun && chown owner /home/owner/bun",
    );
    await box.must("DP_BUN=/home/owner/bun /srv/dp/install.sh");
    expect(await box.must("stat -L -c '%U %h' /opt/dp/bun/bin/bun")).toBe("root 1");
  });

  test("removed, it leaves apps and repositories", async () => {
    await box.must("mkdir -p /opt/deployments/app /var/repos/app.git");
    const removed = await box.ssh("/srv/dp/install.sh --uninstall");
    expect([removed.code, removed.stderr]).toEqual([0, expect.stringContaining("left alone: /var/repos")]);
    expect(await box.must("ls -A /opt /usr/local/bin")).toBe("/opt:\ndeployments\n\n/usr/local/bin:");
    expect(await box.must("ls -d /opt/deployments/app /var/repos/app.git")).toContain("/opt/deployments/app");
  });
});
