// HAProxy's own process under DP_ROOT: what it survives, what it leaves alone, and whose it is.
import { afterEach, describe, expect, test } from "bun:test";
import { chownSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import haproxy from "../../../lib/fronts/haproxy.ts";
import { filesOf, haproxyProgram } from "../../../lib/fronts/haproxy/places.ts";
import { driftFrom } from "../../../lib/fronts/haproxy/process.ts";
import { readKept } from "../../../lib/fronts/haproxy/routes.ts";
import { processes } from "../../../lib/fronts/haproxy/runtime.ts";
import { makeIo, silentLog } from "../../../lib/host/io.ts";
import { isAlive } from "../../../lib/host/process/process.ts";
import { asUser } from "../../../lib/host/process/privilege.ts";
import { idsOf } from "../../../lib/host/users.ts";
import { get, workshop } from "../contract.ts";
import { freePort, until } from "../../support/box-host.ts";
import { openCopy } from "../../support/open-copy.ts";
import { ownRoot } from "../../support/own-root.ts";

const io = makeIo(silentLog);
const isMissing = haproxyProgram() === null;
if (isMissing && process.env["CI"] === "true" && process.getuid!() === 0) throw new Error("haproxy is not installed");
ownRoot("dp-haproxy-");

describe.skipIf(isMissing)(`the process${isMissing ? " (skipped: haproxy is not installed)" : ""}`, () => {
  const shop = workshop(() => ({ front: haproxy }));
  afterEach(() => shop.clean(), 60_000);

  /** A live app. */
  async function live() {
    const route = await shop.route();
    const [a, b] = [await shop.release(), await shop.release()];
    await shop.point(route.app, a);
    await shop.point(route.app, b);
    return { ...route, port: route.listen.port, a, b };
  }
  const isServing = (port: number, text: string) =>
    get(port).then(
      (answer) => answer.text === text,
      () => false,
    );

  test.each(["master", "worker"] as const)(
    "killed, the %s comes back with the same target",
    async (which) => {
      const { app, port, b } = await live();
      const { master, workers } = (await processes())!;
      process.kill(which === "master" ? master : workers[0]!.pid, "SIGKILL");
      await until("all of it is new", async () => {
        const now = await processes();
        return now !== null && now.master !== master && now.workers.length > 0;
      });
      await until("it serves", () => isServing(port, b.name), 15_000);
      expect((await haproxy.status(app))?.target).toEqual({ id: b.name, port: b.port });
      expect(isAlive(workers[0]!.pid)).toBe(false);
    },
    30_000,
  );

  test("a hold outlives a restart", async () => {
    const { app, port, b } = await live();
    await haproxy.hold(app, 20_000, io);
    const { master } = (await processes())!;
    process.kill(master, "SIGKILL");
    await until("it is back", async () => ((await processes())?.master ?? master) !== master);
    await until("it listens", async () => (await haproxy.status(app))?.isListening === true);
    const waiting = get(port);
    await until("it waits", async () => (await haproxy.status(app))?.waiting === 1, 10_000);
    await haproxy.resume(app, io);
    expect((await waiting).text).toBe(b.name);
  }, 30_000);

  test("what HAProxy cannot load is undone, and what ran goes on", async () => {
    const { app, port, a, b } = await live();
    // Valid, and no address of this machine.
    const far = { ...(await elsewhere()), listen: { host: "192.0.2.1", port } };
    await expect(haproxy.setup(far, io)).rejects.toThrow("cannot load its new configuration");
    expect(await haproxy.status(far.app)).toBeNull();
    expect(await driftFrom(await readKept())).toEqual([]);
    expect(await get(port)).toEqual({ status: 200, text: b.name });
    await shop.point(app, a);
    expect((await get(port)).text).toBe(a.name);
  }, 30_000);

  const elsewhere = async () => ({
    app: "far",
    protocol: "http" as const,
    trustedProxies: [],
    listen: { host: "127.0.0.1", port: await freePort() },
  });

  test("a first start that fails leaves nothing behind", async () => {
    const far = { ...(await elsewhere()), listen: { host: "192.0.2.1", port: await freePort() } };
    await expect(haproxy.setup(far, io)).rejects.toThrow("does not start");
    expect(await processes()).toBeNull();
    expect(await haproxy.status("far")).toBeNull();
  }, 30_000);

  test("its files and its socket are dp's alone, and nothing of it outlives the last app", async () => {
    const { app } = await live();
    const files = filesOf();
    expect(statSync(files.folder).mode & 0o777).toBe(0o700);
    for (const file of [files.routes, files.config, files.lua, files.socket])
      expect(statSync(file).mode & 0o777).toBe(0o600);
    const { master, workers } = (await processes())!;
    await haproxy.remove(app, io);
    for (const pid of [master, ...workers.map((worker) => worker.pid)]) expect(isAlive(pid)).toBe(false);
    expect(await processes()).toBeNull();
    expect(await haproxy.status(app)).toBeNull();
  });

  test("stopped by hand, it is told of and set up again with the same target", async () => {
    const { app, port, b, ...route } = await live();
    const { stopSupervised } = await import("../../../lib/fronts/haproxy/supervised.ts");
    await stopSupervised();
    expect(await haproxy.status(app)).toMatchObject({ isListening: false, error: "HAProxy does not run" });
    const { listen, protocol, trustedProxies } = route;
    expect(await haproxy.setup({ app, listen, protocol, trustedProxies }, io)).toEqual(["started HAProxy"]);
    expect((await get(port)).text).toBe(b.name);
  }, 30_000);

  const user = process.getuid!() === 0 ? "daemon" : undefined;
  test.skipIf(user === undefined)(
    "a plain user has one of its own",
    async () => {
      const own = mkdtempSync(join(tmpdir(), "dp-haproxy-user-"));
      const copy = await openCopy();
      chownSync(own, ...(await idsOf(user!)));
      const port = await freePort();
      const script = `
      import { makeIo, silentLog } from "${copy}/lib/host/io.ts";
      import front from "${copy}/lib/fronts/haproxy.ts";
      const io = makeIo(silentLog), listen = { host: "127.0.0.1", port: ${port} };
      const app = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("mine") });
      await front.setup({ app: "mine", listen, protocol: "http", trustedProxies: [] }, io);
      await front.point("mine", { id: "1-aaaaaaa", port: app.port }, io);
      const answer = await (await fetch("http://127.0.0.1:${port}/")).text();
      const { readdirSync, statSync } = await import("node:fs");
      const isOwn = statSync("${own}/var/lib/dp/haproxy/master.sock").uid === process.getuid();
      await front.remove("mine", io);
      console.log(answer, isOwn);
      process.exit(0);
    `;
      try {
        const argv = asUser([join(copy, "bun"), "--no-install", "-e", script], user);
        const env = { PATH: "/usr/bin:/bin", HOME: own, DP_ROOT: own };
        const ran = Bun.spawnSync(argv, { cwd: "/", env });
        expect(ran.stderr.toString() + ran.stdout.toString()).toBe("mine true\n");
      } finally {
        for (const folder of [own, copy]) rmSync(folder, { recursive: true });
      }
    },
    30_000,
  );

  test("its configuration says whose it is", async () => {
    await live();
    expect(readFileSync(filesOf().config, "utf8")).toStartWith("# written by dp:");
  });
});
