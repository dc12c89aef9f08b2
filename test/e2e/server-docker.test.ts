// An app in containers on a real server with Docker Engine: pushed over ssh, and what a boot makes of it, after a reboot
// and after power cuts in a deploy. The tests build on each other, in this order, on one server.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { ownGroups } from "../support/box-image.ts";
import { boxUnavailable, freePort, until } from "../support/box.ts";
import { baseFolder } from "../support/engine.ts";
import { type Server, startServer } from "../support/server-box.ts";
import { type Laptop, openLaptop } from "../support/server-laptop.ts";
import { sha7 } from "../support/server-shop.ts";

// The image of the server is built once, which takes a minute.
setDefaultTimeout(240_000);

const why = boxUnavailable("docker");

const yml = (app: string, more = "") =>
  `name: ${app}\ntype: docker\nhealthCheck: {path: /health, startTimeout: 60s, interval: 50ms}\n${more}`;
const SERVE =
  'mkdir -p /www && cd /www && echo "$DP_RELEASE" >index.html && echo ok >health\nexec httpd -f -p "$PORT"\n';
const DOCKERFILE = 'FROM base:shell\nCOPY serve.sh /\nEXPOSE 8080\nCMD ["/bin/sh", "/serve.sh"]\n';
/** Never ends the first time; what a release shares with the next is on the server. */
const LONG_HOOK =
  "shared: {dirs: [notes]}\nhooks: {postDeploy: 'test -e notes/ran || { touch notes/ran; exec sleep 1000; }'}\n";
const FILES = { Dockerfile: DOCKERFILE, "serve.sh": SERVE };

/** Somebody else's container, with a name as dp gives. */
const FOREIGN = "shop-1-aaaaaaa";

/** An app, its public port, and where it is pushed from. */
interface App extends Laptop {
  app: string;
  port: number;
}

describe.skipIf(why !== null)(`containers on a server${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: Server;
  let shop: App;
  let other: App;

  const open = async (app: string): Promise<App> => {
    const port = await freePort();
    await box.mustDp("setup", app, "--port", `${port}`);
    await box.hurry(app);
    return { ...(await openLaptop(box, app)), app, port };
  };
  /** Imports an image with a shell and the small programs: none can be pulled. */
  const importBase = async () => {
    const folder = mkdtempSync(join(tmpdir(), "dp-server-docker-"));
    try {
      await box.copyIn(baseFolder(folder), "/srv/base");
      await box.must("tar -C /srv/base -c . | docker import - base:shell && rm -r /srv/base");
    } finally {
      rmSync(folder, { recursive: true });
    }
  };
  beforeAll(async () => {
    box = await startServer("docker", "docker");
    await box.must("systemctl enable --quiet --now docker");
    await importBase();
    await box.must(`docker run --detach --restart=always --name=${FOREIGN} base:shell sleep 1000000`);
    [shop, other] = [await open("shop"), await open("other")];
  });
  afterAll(async () => {
    shop?.remove();
    other?.remove();
    await box?.stop();
  });

  const running = async () => (await box.must("docker ps --format '{{.Names}}'")).split("\n").sort();
  /** That release serves, one container of it, and nothing else of the app runs. */
  const expectServing = async ({ app, port }: App, id: string) => {
    await until(`${id} answers`, async () => (await box.get(port).catch(() => "")) === id);
    const own = (await running()).filter((name) => name.startsWith(`${app}-`) && name !== FOREIGN);
    const { code, stdout } = await box.dp("status", app, "--json");
    const { live, isHealthy, strays, process } = JSON.parse(stdout);
    expect({ code, live, isHealthy, strays, state: process.state, own }).toEqual({
      ...{ code: 0, live: id, isHealthy: true, strays: [], state: "running", own: [`${app}-${id}`] },
    });
  };
  const push = async (app: App, files: Record<string, string>) => {
    await app.commit(files);
    await app.push();
    return box.live(app.app);
  };

  test("a first and a second push over ssh: the relay has the port, and leads to one container", async () => {
    const first = await push(shop, { ...FILES, "deploy.yml": yml("shop") });
    await expectServing(shop, first);
    const second = await push(shop, { say: "two" });
    await expectServing(shop, second);
    await expectServing(other, await push(other, { ...FILES, "deploy.yml": yml("other") }));
    const relay = await box.must("systemctl show -P MainPID dp-relay");
    expect(await box.must(`ss -Hltnp 'sport = :${shop.port}'`)).toContain(`pid=${relay},`);
  });

  test("after a reboot the live one serves again, and no other, and the way back is open", async () => {
    const [live, previous] = [
      await box.live("shop"),
      basename(await box.must("readlink /opt/deployments/shop/previous")),
    ];
    await box.reboot();
    await expectServing(shop, live);
    await expectServing(other, await box.live("other"));
    expect(await box.mustDp("reconcile", "shop")).toBe("shop: nothing to do");
    await box.mustDp("rollback", "shop");
    await expectServing(shop, previous);
  });

  /** Pushes, cuts the power when it is time, boots; answers the commit. */
  const cutWhen = async (isTime: () => Promise<boolean>, files: Record<string, string>): Promise<string> => {
    const sha = await shop.commit(files);
    const pushing = Bun.spawn(shop.pushArgv(), { cwd: shop.dir, env: shop.env, stdio: ["ignore", "ignore", "ignore"] });
    try {
      await until("the deploy is where the power goes", isTime);
    } finally {
      await box.powerCut();
      await pushing.exited;
    }
    await box.boot();
    return sha;
  };
  const isChecked = async () => (await box.newestRun("shop"))?.journal["check"]?.state === "running";
  const hasHook = async () => (await box.ssh("test -e /opt/deployments/shop/shared/notes/ran")).code === 0;

  test.each([
    ["while a sick release is checked", "old", isChecked, { "serve.sh": "sleep 1000\n" }],
    ["in postDeploy", "new", hasHook, { "deploy.yml": yml("shop", LONG_HOOK) }],
  ] as const)(
    "a power cut %s: after the boot the %s release serves, and the next push ends well",
    async (_when, serves, isTime, files) => {
      const old = await box.live("shop");
      const sha = await cutWhen(isTime, files);
      const live = await box.live("shop");
      expect(sha7(live)).toBe(serves === "old" ? sha7(old) : sha.slice(0, 7));
      await expectServing(shop, live);
      expect(await box.mustDp("status", "shop")).toContain("dp resume");
      await expectServing(shop, await push(shop, { ...FILES, "deploy.yml": yml("shop") }));
      expect(await box.must("docker ps --all --quiet --filter name=hook")).toBe("");
    },
  );

  test("destroy leaves the other app alone, and what is not dp's", async () => {
    await box.mustDp("destroy", "shop", "--yes");
    await expectServing(other, await box.live("other"));
    const left = `other-${await box.live("other")}`;
    expect(await running()).toEqual([left, FOREIGN]);
    expect(await box.must("docker image ls --format '{{.Repository}}' | sort")).toBe("base\ndp/other");
  });

  test("its network is its own, and nothing of it is left on the machine that runs the tests", async () => {
    expect(await box.must("readlink /proc/self/ns/net")).not.toBe(readlinkSync("/proc/self/ns/net"));
    await box.stop();
    expect(existsSync(box.dir)).toBe(false);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(box.dir);
    for (const group of ownGroups(true)) expect(readdirSync(group)).not.toContain(basename(box.dir));
  });
});
