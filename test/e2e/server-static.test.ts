// On a real server: a static site under systemd, and an app in a folder with files that stay. One server, in order.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { boxUnavailable, freePort, until } from "../support/box.ts";
import { startServer, type Server } from "../support/server-box.ts";
import { plainApp } from "../support/server-apps.ts";
import { openLaptop, type Laptop } from "../support/server-laptop.ts";
import { startLoad } from "../support/static-load.ts";

const why = boxUnavailable();

const yml = (more = "") => `name: site
type: static
healthCheck: {path: /, startTimeout: 5s}
root: web
build: mkdir -p dist && cp -r src/* dist && umask 077 && echo secret > key
static: {root: dist, notFound: 404.html}
shared: {dirs: [state]}
${more}`;
const FILES = {
  "deploy.yml": yml(),
  "web/src/index.html": "front one",
  "web/src/404.html": "nothing here",
  "web/src/assets/app-AAAA1111.js": "first",
};

describe.skipIf(why !== null)(`static sites on a server${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: Server;
  let site: Laptop;
  let port = 0;

  beforeAll(async () => {
    box = await startServer("static");
    site = await openLaptop(box, "site");
    port = await freePort();
    await box.mustDp("setup", "site", "--port", `${port}`);
    await box.hurry("site");
  });
  afterAll(async () => {
    site?.remove();
    await box?.stop();
  });
  const pidOf = async () => Number(await box.must("systemctl show -P MainPID dp-static"));
  const statusOf = (path: string) =>
    box.must(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", `http://127.0.0.1:${port}${path}`]);

  test("a site without an index is refused", async () => {
    await site.commit({ ...FILES, "web/src/index.html": null });
    const { text } = await site.failingPush();
    expect(text).toContain("FAILED at build");
  });

  test("the first push serves it, as a user of its own that reads this release and little else", async () => {
    await site.commit(FILES);
    await site.push();
    expect(await box.get(port)).toBe("front one");
    expect(await box.must(`ps -o user= -p ${await pidOf()}`)).toBe("dp-static");
    expect((await box.ssh("systemd-analyze verify /etc/systemd/system/dp-static.service")).text).toBe("");
    const said = await box.must("systemd-analyze security --no-pager dp-static");
    expect(Number(/exposure level for .*: ([\d.]+)/.exec(said)?.[1])).toBeLessThan(2.5);
    const release = `/opt/deployments/site/releases/${await box.live("site")}`;
    expect(await box.must(`stat -c '%U:%G %a' ${release}`)).toBe("dp-site:dp-static 550");
    const as = (user: string, path: string) =>
      box.ssh(["setpriv", `--reuid=${user}`, `--regid=${user}`, "--clear-groups", "cat", path]);
    expect((await as("dp-static", `${release}/web/dist/index.html`)).stdout).toBe("front one");
    expect((await as("nobody", `${release}/web/dist/index.html`)).code).not.toBe(0);
    for (const path of [
      `${release}/web/key`,
      "/opt/deployments/site/.env.production",
      "/opt/deployments/site/config.yml",
    ])
      expect((await as("dp-static", path)).code).not.toBe(0);
    expect(await box.must("stat -c '%U %a' /var/lib/dp/static /var/lib/dp/static/run /var/lib/dp/static/sites")).toBe(
      "root 755\ndp-static 700\nroot 755",
    );
  });

  test("the app can make no link in what is served, and one that is there leads the server nowhere", async () => {
    const dist = `/opt/deployments/site/releases/${await box.live("site")}/web/dist`;
    const link = ["ln", "-s", "/etc/passwd", `${dist}/p.txt`];
    const asApp = ["setpriv", "--reuid=dp-site", "--regid=dp-site", "--clear-groups"];
    expect((await box.ssh([...asApp, ...link])).text).toContain("Permission denied");
    await box.must(link);
    expect(await statusOf("/p.txt")).toBe("404");
  });

  test("the second push under load: no process is started, nothing is lost, the old asset stays", async () => {
    const before = await pidOf();
    const load = startLoad(port, ["/", "/assets/app-AAAA1111.js"]);
    await site.commit({
      "web/src/index.html": "front two",
      "web/src/assets/app-AAAA1111.js": null,
      "web/src/assets/app-BBBB2222.js": "second",
    });
    const { text } = await site.push();
    expect(text).toMatch(/live: site .*; requests \d+, failed 0/);
    expect(await box.get(port)).toBe("front two");
    const { failed, requests } = await load.stop();
    expect({ failed }).toEqual({ failed: [] });
    expect(requests).toBeGreaterThan(20);
    expect(await pidOf()).toBe(before);
    expect(await box.get(port, "/assets/app-AAAA1111.js")).toBe("first");
    expect(await box.must("ls /var/lib/dp/static/sites")).toBe(`site@${await box.live("site")}.json`);
  });

  test("a failed build changes nothing, and rollback goes back", async () => {
    const live = await box.live("site");
    await site.commit({ "deploy.yml": yml().replace("mkdir -p dist", "exit 3; mkdir dist") });
    await site.failingPush();
    expect(await box.live("site")).toBe(live);
    expect(await box.get(port)).toBe("front two");
    await box.mustDp("rollback", "site");
    expect(await box.get(port)).toBe("front one");
    await box.mustDp("rollback", "site", live);
    expect(await box.get(port)).toBe("front two");
  });

  test("killed, it comes back by itself; after a reboot, too", async () => {
    const before = await pidOf();
    await box.must(`kill -9 ${before}`);
    await until(
      "the server's return",
      async () => ![0, before].includes(await pidOf()) && (await statusOf("/")) === "200",
    );
    await box.reboot();
    await until("the site after the boot", async () => (await statusOf("/")) === "200");
    expect(await box.get(port)).toBe("front two");
    expect(await box.get(port, "/assets/app-BBBB2222.js")).toBe("second");
    await until(
      "reconcile's end",
      async () => (await box.ssh("systemctl is-active dp-reconcile")).stdout.trim() !== "activating",
    );
    expect((await box.dp("reconcile", "site")).text).not.toContain("started");
  });

  test("stopped it takes the server with it, at boot too; started again it is back; destroyed it leaves none", async () => {
    const unit = async () =>
      (await box.ssh("systemctl is-active dp-static; systemctl is-enabled dp-static")).stdout.trim().split("\n");
    expect(await unit()).toEqual(["active", "enabled"]);
    await box.mustDp("stop", "site");
    expect(await unit()).toEqual(["inactive", "disabled"]);
    await box.mustDp("start", "site");
    expect([await unit(), await box.get(port)]).toEqual([["active", "enabled"], "front two"]);
    expect(await box.mustDp("destroy", "site", "--yes")).toContain("stopped the static server, which had no app left");
    expect(await unit()).toEqual(["inactive", "disabled"]);
  });

  test("an app in a folder keeps its files, as its own user, whatever links it plants", async () => {
    const api = await openLaptop(box, "api");
    const apiPort = await freePort();
    await box.mustDp("setup", "api", "--port", `${apiPort}`);
    await box.hurry("api");
    const files = plainApp(
      "api",
      "root: services/api\nbuild: pwd > built; id -un > who\nshared: {dirs: [uploads], files: [.secret]}\n",
    );
    const moved = Object.entries(files).map(([name, text]) => [
      name === "deploy.yml" ? name : `services/api/${name}`,
      text,
    ]);
    await api.commit({ ...Object.fromEntries(moved), "services/api/uploads/seed": "of the commit" });
    await api.push();
    const folder = `/opt/deployments/api/releases/${await box.live("api")}/services/api`;
    expect(await box.must(`cat ${folder}/built ${folder}/who`)).toBe(`${folder}\ndpb-api`);
    expect(await box.must(`cat ${folder}/uploads/seed; stat -L -c '%U %a' ${folder}/uploads ${folder}/.secret`)).toBe(
      "of the commitdp-api 755\ndp-api 640",
    );
    const pid = await box.must(`systemctl show -P MainPID api@${await box.live("api")}`);
    expect(await box.must(`readlink /proc/${pid}/cwd`)).toBe(folder);
    // The app itself may write there, in its sandbox, and nowhere else in the release.
    const inside = [
      "nsenter",
      "-t",
      pid,
      "-m",
      "setpriv",
      "--reuid=dp-api",
      "--regid=dp-api",
      "--clear-groups",
      "touch",
    ];
    await box.must([...inside, `${folder}/uploads/of-a-visitor`]);
    expect((await box.ssh([...inside, `${folder}/x`])).code).not.toBe(0);
    // A link that it plants there is followed by nobody but itself: what root has behind it stays as it is.
    await box.must("mkdir -m 700 /root/own && echo secret > /root/own/key");
    await box.must("rm -rf /opt/deployments/api/shared/uploads && ln -s /root /opt/deployments/api/shared/uploads");
    const state = () => box.must("stat -c '%n %U %a %Y' /root /root/own /root/own/key");
    const before = await state();
    await api.commit({ "services/api/uploads/own/key": "of the commit" });
    await api.push();
    expect(await state()).toBe(before);
    const uploads = `/opt/deployments/api/releases/${await box.live("api")}/services/api/uploads`;
    const asApp = ["setpriv", "--reuid=dp-api", "--regid=dp-api", "--clear-groups"];
    expect((await box.ssh([...asApp, "cat", `${uploads}/own/key`])).code).not.toBe(0);
    await box.must("ln -sfn /root/own/key /opt/deployments/api/shared/.secret");
    await api.commit({ "services/api/note": "x" });
    expect((await api.failingPush()).text).toContain("shared/.secret is not a file");
    expect(await state()).toBe(before);
    api.remove();
  });
});
