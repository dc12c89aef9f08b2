// The ports of instances: one look finds one, whatever a neighbour listens on, and each app has its own.
import { describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { isIn, ownPorts, spanText, type Span } from "../../lib/host/own-ports.ts";
import { tryLock } from "../../lib/host/lock.ts";
import { unitText } from "../../lib/host/systemd/unit.ts";
import { namedApp } from "../../lib/release/named-app.ts";
import { givePortBack, portOf, reservePorts, takePort } from "../../lib/release/ports.ts";
import { useServer } from "../support/core-server.ts";

const canUnshare =
  process.getuid?.() === 0 && Bun.spawnSync(["unshare", "-n", "ip", "link", "set", "lo", "up"]).exitCode === 0;

/** Runs in a network of its own: a neighbour there takes every port of the range but those, then an instance wants one. */
function portBeside(left: readonly number[]): { port: number; isFree: boolean } {
  const root = mkdtempSync(join(tmpdir(), "dp-ports-"));
  try {
    mkdirSync(join(root, "opt/deployments/shop/instances"), { recursive: true });
    const script = join(root, "take.ts");
    writeFileSync(
      script,
      `import { takePort } from ${JSON.stringify(resolve(import.meta.dir, "../../lib/release/ports.ts"))};
      import { namedApp } from ${JSON.stringify(resolve(import.meta.dir, "../../lib/release/named-app.ts"))};
      const left = new Set(${JSON.stringify(left)});
      const data = () => undefined;
      for (let port = 20000; port <= 29999; port++)
        if (!left.has(port)) Bun.listen({ hostname: "127.0.0.1", port, socket: { data } });
      const port = await takePort(namedApp("shop"), "1-aaaaaaa");
      Bun.listen({ hostname: "127.0.0.1", port, socket: { data } });
      console.log(JSON.stringify({ port, isFree: true }));
      process.exit(0);`,
    );
    const argv = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$0" "$1"', process.execPath, script];
    const child = Bun.spawnSync(["prlimit", "--nofile=20000:20000", ...argv], {
      env: { PATH: process.env["PATH"] ?? "", DP_ROOT: root },
      cwd: "/",
    });
    expect(`${child.exitCode} ${child.stderr}`).toBe("0 ");
    return JSON.parse(child.stdout.toString()) as { port: number; isFree: boolean };
  } finally {
    rmSync(root, { recursive: true });
  }
}

test.skipIf(!canUnshare)("a neighbour that listens on all ports but two leaves those", () => {
  expect([23_456, 29_999]).toContain(portBeside([23_456, 29_999]).port);
});

test.skipIf(!canUnshare)("one that listens on all of them keeps nobody from a deploy", () => {
  const { port, isFree } = portBeside([]);
  expect([port > 29_999, isFree]).toEqual([true, true]);
});

describe("the ports of an app", () => {
  const server = useServer();
  const app = (name: string) => {
    mkdirSync(server.path("opt/deployments", name, "instances"), { recursive: true });
    writeFileSync(server.path("opt/deployments", name, "config.yml"), "port: 8000\n");
    return namedApp(name);
  };
  const ids = (count: number) => Array.from({ length: count }, (_, at) => `${at + 1}-aaaaaaa`);
  const record = (name: string) => readFileSync(server.path("opt/deployments", name, "ports"), "utf8").trim();

  test("are a block of its own, which no other app gets a port of", async () => {
    const [one, two] = [app("one"), app("two")];
    await reservePorts(one, null);
    await reservePorts(two, null);
    const [a, b] = [(await ownPorts(one.places.base))[0]!, (await ownPorts(two.places.base))[0]!];
    expect([a.last - a.first, b.last - b.first]).toEqual([7, 7]);
    expect(a.first > b.last || b.first > a.last).toBe(true);
    for (const id of ids(6)) expect(isIn(a, await takePort(one, id))).toBe(true);
    expect(record("one")).toBe(spanText(a));
    expect(await takePort(one, ids(1)[0]!)).toBe((await portOf(one, ids(1)[0]!))!);
  });

  test("are some more while none in the block is free, and no more once those are given back", async () => {
    const many = app("many");
    const ports = await Array.fromAsync(ids(9), (id) => takePort(many, id));
    const [block] = await ownPorts(many.places.base);
    const apart = ports.filter((port) => !isIn(block!, port));
    expect([new Set(ports).size, apart.length]).toEqual([9, 1]);
    expect(record("many")).toBe(`${spanText(block!)} ${apart[0]}`);
    for (const id of ids(9)) await givePortBack(many, id);
    await takePort(many, "10-aaaaaaa");
    expect(record("many")).toBe(spanText(block!));
  });

  test("are those too that an earlier dp gave, and the public one that it listens on itself", async () => {
    const old = app("old");
    writeFileSync(join(old.places.instances, "1-aaaaaaa.port"), "23456\n");
    await reservePorts(old, 25_001);
    const [block] = await ownPorts(old.places.base);
    expect(record("old")).toBe(`${spanText(block!)} 23456 25001`);
    // A public port out of the range needs no permission.
    await reservePorts(old, 8000);
    expect(record("old")).toBe(`${spanText(block!)} 23456`);
  });

  test("are none that is another app's public port, though that app is down", async () => {
    const mine = app("mine");
    await reservePorts(mine, null);
    const [{ first, last }] = (await ownPorts(mine.places.base)) as [Span];
    // Its public ports, one after the other, are all of the block but the last.
    for (let port = first; port < last; port++) {
      app(`down-${port}`);
      writeFileSync(server.path("opt/deployments", `down-${port}`, "config.yml"), `prot: broken\nport: ${port}\n`);
    }
    expect(await takePort(mine, "1-aaaaaaa")).toBe(last);
    const apart = await takePort(mine, "2-aaaaaaa");
    expect(apart < first || apart > last).toBe(true);
  });

  test("are not waited for for ever: a process that hangs is named, and what has a port needs no lock", async () => {
    const stuck = app("stuck");
    const port = await takePort(stuck, "1-aaaaaaa");
    const lock = tryLock(server.path("opt/deployments/.ports.lock"))!;
    lock.note({ pid: process.pid });
    expect(await takePort(stuck, "1-aaaaaaa")).toBe(port);
    const problem = await takePort(stuck, "2-aaaaaaa", 50).catch((error: unknown) => error);
    expect(problem).toMatchObject({ exit: "locked", message: expect.stringContaining(`process ${process.pid}`) });
    lock.release();
    expect(await takePort(stuck, "2-aaaaaaa")).not.toBe(port);
  });

  test("are given to many at once, each its own, in the order in which they asked", async () => {
    const many = Array.from({ length: 20 }, (_, at) => app(`crowd-${at}`));
    const served: string[] = [];
    const ports = await Promise.all(
      many.map(async (each) => {
        const port = await takePort(each, "1-aaaaaaa");
        served.push(each.name);
        return port;
      }),
    );
    expect(new Set(ports).size).toBe(20);
    expect(served).toEqual(many.map(({ name }) => name));
  });

  test("are in the units of systemd, once they are known", async () => {
    const unit = app("unit");
    const { base } = unit.places;
    const managed = { app: "unit", base, user: "dp-unit", stopTimeout: 5_000 };
    expect(await unitText(managed)).not.toContain("SocketBind");
    writeFileSync(join(base, "ports"), "20008-20015 23456\n");
    for (const isJob of [false, true])
      expect(await unitText(managed, isJob)).toContain(
        "\nSocketBindAllow=tcp:20008-20015\nSocketBindAllow=tcp:23456\nSocketBindDeny=tcp:20000-29999\n",
      );
  });
});
