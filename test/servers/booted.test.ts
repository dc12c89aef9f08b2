// Three booted servers with systemd, users and builders of their own: they deploy together by a key of the role server,
// behind a balancer that is a service on the first one. The tests build on each other.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { BalancerState } from "../../lib/fronts/haproxy/balance.ts";
import { boxUnavailable, freePort, until } from "../support/box.ts";
import { exec } from "../support/box-host.ts";
import { plainApp } from "../support/server-apps.ts";
import { type Server, startServer } from "../support/server-box.ts";
import { type Laptop, openLaptop } from "../support/server-laptop.ts";

const why = boxUnavailable();
const NAMES = ["a", "b", "c"] as const;
const BASE = "/opt/deployments/shop";
// Says who builds it, and where; the package is the app's only dependency.
const BUILD = "build: id -un >built; hostname >>built\n";

describe.skipIf(why !== null)(`booted servers${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let all: Server[] = [];
  let a: Server;
  let b: Server;
  let c: Server;
  let shop: Laptop;
  let balanced = 0;

  beforeAll(async () => {
    all = await Promise.all(NAMES.map((name) => startServer(`servers-${name}`)));
    [a, b, c] = all as [Server, Server, Server];
    await a.must(
      "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends haproxy && systemctl disable --quiet --now haproxy",
      { timeout: 200_000 },
    );
    const ports = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
    balanced = ports.pop()!;
    await Promise.all(all.map((one, at) => one.mustDp("setup", "shop", "--port", String(ports[at]))));
    await Promise.all(all.map((one) => one.hurry("shop")));
    const key = await a.mustDp("fleet", "key");
    for (const one of [b, c]) {
      const added = await one.ssh(["dp", "keys", "add", "server-a", "--app", "shop", "--role", "server"], {
        stdin: key,
      });
      if (added.code !== 0) throw new Error(added.text);
    }
    const hostKeys = [b, c].map(({ port }) => exec(["ssh-keyscan", "-t", "ed25519", "-p", `${port}`, "127.0.0.1"]));
    const known = (await Promise.all(hostKeys)).map(({ stdout }) => stdout).join("");
    await a.write("/root/.ssh/known_hosts", known, 0o600);
    const servers = `servers: {a: here, b: "dp@127.0.0.1:${b.port}", c: "dp@127.0.0.1:${c.port}"}`;
    await a.must(`echo '${servers}' >>${BASE}/config.yml`);
    const places = NAMES.map((name, at) => `${name}=127.0.0.1:${ports[at]}`);
    const options = ["--port", String(balanced), "--host", "127.0.0.1", "--check", "/health"];
    await a.mustDp("balancer", "add", "shop", ...options, ...places);
    shop = await openLaptop(a, "shop");
  }, 500_000);
  afterAll(async () => {
    shop?.remove();
    await Promise.all(all.map((one) => one.stop()));
  }, 300_000);

  const lives = () => Promise.all(all.map((one) => one.live("shop")));
  const up = async () => {
    const [found] = JSON.parse(await a.mustDp("balancer", "--json")) as BalancerState[];
    return found!.servers.filter(({ isUp }) => isUp).map(({ name }) => name);
  };

  /** Requests through the balancer, four at a time, while something is done; answers which releases have answered. */
  async function underLoad(action: () => Promise<unknown>): Promise<string[]> {
    const seen = new Set<string>();
    const failed: string[] = [];
    let isOver = false;
    const client = async () => {
      for (; !isOver; await Bun.sleep(10)) {
        const init = { proxy: "", signal: AbortSignal.timeout(30_000) } as RequestInit;
        const answer = await fetch(`http://127.0.0.1:${balanced}/`, init).catch((error: Error) => error);
        if (answer instanceof Error) failed.push(answer.message);
        else if (answer.status !== 200) failed.push(String(answer.status));
        else seen.add(await answer.text());
      }
    };
    const clients = Array.from({ length: 4 }, client);
    try {
      await action();
    } finally {
      isOver = true;
      await Promise.all(clients);
    }
    expect(failed).toEqual([]);
    return [...seen].sort();
  }

  test("what was built on one, by its builder, runs on the others, and belongs there to whom a build's files belong", async () => {
    await shop.commit({ ...plainApp("shop", BUILD), "requirements.txt": "six==1.16.0\n" });
    await shop.push();
    const [live] = await lives();
    expect(await lives()).toEqual([live!, live!, live!]);
    for (const one of all) {
      const release = `${BASE}/releases/${live}`;
      expect(await one.read(`${release}/built`)).toBe(`dpb-shop\n${a.name}\n`);
      // Whose they are and who may read them, of the release and of the dependencies; no file is the app's.
      const owners = (on: Server, folder: string) => on.must(`find ${folder} -printf '%u:%g %#m\\n' | sort | uniq -c`);
      for (const folder of [release, `${BASE}/venvs/*/lib/python3*/site-packages/six*`])
        expect(await owners(one, folder)).toBe(await owners(a, folder));
      expect(await one.must(`find ${release} ${BASE}/venvs -user dp-shop`)).toBe("");
    }
    const log = await b.read(`/var/log/deployments/shop/${live}.log`);
    expect(log).toContain("as it was built on the server that leads");
    expect(log).not.toContain("installing");
    await until("the balancer has all three", async () => (await up()).length === 3);
    expect(await a.must("systemctl is-active dp-haproxy")).toBe("active");
  }, 300_000);

  test("a deploy of three loses no request of the balancer", async () => {
    const [before] = await lives();
    await shop.commit({ note: "two" });
    const seen = await underLoad(() => shop.push());
    const [live] = await lives();
    expect(await lives()).toEqual([live!, live!, live!]);
    expect(seen).toEqual([before!, live!].sort());
  }, 300_000);

  test("nor does the loss of one, a deploy without it, and its return", async () => {
    const [before] = await lives();
    await shop.commit({ note: "three" });
    await underLoad(async () => {
      await c.powerCut();
      await until("the balancer leaves it out", async () => (await up()).join() === "a,b");
      expect((await shop.failingPush()).text).toContain("c cannot be reached, so nothing was begun");
      await shop.push("-o", "without=c");
      await c.boot();
      await until("the balancer has it again", async () => (await up()).length === 3);
      expect(await c.live("shop")).toBe(before!);
      await a.mustDp("fleet", "sync", "shop");
    });
    const [live] = await lives();
    expect(await lives()).toEqual([live!, live!, live!]);
    expect(live).not.toBe(before!);
  }, 300_000);

  test("--on reads nothing by a key of the role server, and everything by one of the role operate as well", async () => {
    const refused = await a.dp("ps", "shop", "--on", "all");
    expect(refused.code).toBe(8);
    expect(refused.stdout).toMatch(/^a \| web\.1 +running/m);
    expect(refused.stdout).not.toMatch(/^[bc] /m);
    expect(refused.stderr).toContain("b | dp: server-a may not ps shop");
    expect(refused.stderr).toContain("→ on c, as root: dp keys allow server-a shop --role operate,server");
    for (const one of [b, c]) await one.mustDp("keys", "allow", "server-a", "shop", "--role", "operate,server");
    for (const name of NAMES)
      expect(await a.mustDp("ps", "shop", "--on", "all")).toMatch(new RegExp(`^${name} \\| web\\.1 +running`, "m"));
    expect((await a.mustDp("run", "shop", "--on", "all", "--", "id", "-un")).split("\n").sort()).toEqual([
      "a | dp-shop",
      "b | dp-shop",
      "c | dp-shop",
    ]);
    const lines = (await a.mustDp("logs", "shop", "--on", "all", "--grep", "listening")).split("\n");
    expect([...new Set(lines.map((line) => line.split(" ")[0]!))].sort()).toEqual([...NAMES]);
    await a.mustDp("restart", "shop");
    const [live] = await lives();
    expect(await lives()).toEqual([live!, live!, live!]);
    expect((await a.dp("doctor", "shop", "--on", "b")).text).toContain("no key may ask for that: dp -s b doctor");
  }, 300_000);
});
