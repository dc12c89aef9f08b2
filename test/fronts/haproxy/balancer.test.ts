// A balancer in front of three servers of dp, under load: their deploys, a drain, and the loss of one.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { appendFileSync, readFileSync } from "node:fs";
import { haproxyProgram } from "../../../lib/fronts/haproxy/places.ts";
import type { BalancerState } from "../../../lib/fronts/haproxy/balance.ts";
import { claimPort, freePort } from "../../support/port.ts";
import { pidsWith, sandbox, until, type Outcome, type Sandbox } from "../../support/sandbox.ts";

const why = haproxyProgram() === null ? "haproxy is not installed" : null;
// A run must not go green by skipping.
if (why !== null && process.env["CI"] === "true" && process.getuid!() === 0) throw new Error(why);

const NAMES = ["a", "b", "c"] as const;
let boxes: Sandbox[] = [];
let port = 0;

beforeAll(async () => {
  if (why !== null) return;
  boxes = await Promise.all(NAMES.map(() => sandbox()));
  for (const [at, box] of boxes.entries()) await box.release({ say: `one of ${NAMES[at]}` });
  port = await freePort();
});
afterAll(async () => {
  await boxes[0]?.dp("balancer", "remove", "shop");
  await Promise.all(boxes.map((box) => box.stop()));
});

/** dp on the balancer's server, which is the first one here. */
const dp = (...args: string[]) => boxes[0]!.dp("balancer", ...args);
const servers = () => NAMES.map((name, at) => `${name}=127.0.0.1:${boxes[at]!.port}`);
const shop = async () => (JSON.parse((await dp("--json")).stdout) as BalancerState[])[0]!;
const upNow = async () => (await shop()).servers.filter(({ isUp }) => isUp).map(({ name }) => name);

function expectCode(outcome: Outcome, code: number): void {
  expect(`${outcome.code}${outcome.code === code ? "" : `\n${outcome.text}`}`).toBe(String(code));
}

interface Counts {
  sent: number;
  failed: string[];
  /** Which servers answered, `a` to `c`. */
  by: Set<string>;
}

/** Six clients with connections that they keep, half of them posting, until `stop`. */
function load(): { counts: Counts; stop(): Promise<Counts> } {
  const counts: Counts = { sent: 0, failed: [], by: new Set() };
  let isOver = false;
  const client = async (method: string) => {
    while (!isOver) {
      counts.sent += 1;
      try {
        const init = { method, proxy: "", signal: AbortSignal.timeout(30_000) } as RequestInit;
        const answer = await fetch(`http://127.0.0.1:${port}/`, method === "POST" ? { ...init, body: "x" } : init);
        const text = await answer.text();
        if (answer.status !== 200) counts.failed.push(`${method} ${answer.status}`);
        counts.by.add(/ of (\w) /.exec(text)?.[1] ?? text);
      } catch (error) {
        counts.failed.push(`${method} ${(error as Error).message}`);
      }
      await Bun.sleep(5);
    }
  };
  const clients = ["GET", "POST", "GET", "POST", "GET", "POST"].map(client);
  return {
    counts,
    async stop() {
      isOver = true;
      await Promise.all(clients);
      return counts;
    },
  };
}

describe.skipIf(why !== null)(`a balancer${why === null ? "" : ` (skipped: ${why})`}`, () => {
  test("what cannot be one is refused, and nothing listens", async () => {
    const bad: [string[], RegExp][] = [
      [["add", "shop", "--port", String(port)], /needs servers/],
      [["add", "shop", ...servers()], /needs the port/],
      [["add", "Shop", "--port", String(port), ...servers()], /cannot be the name/],
      [["add", "shop", "--port", String(port), "a=server.example.com:80"], /is not NAME=IP:PORT/],
      [["add", "shop", "--port", String(port), "a=10.0.0.5:80", "a=10.0.0.6:80"], /a is there twice/],
      [["add", "shop", "--port", String(port), "--check", "/a b", ...servers()], /must be a path/],
      [["add", "shop", "--port", String(boxes[0]!.port), ...servers()], /is held by/],
      [["add", "shop", "--port", String(port), "--trusted-proxies", "10.0.0.0/33", ...servers()], /takes addresses/],
      [["drain", "shop"], /dp balancer drain needs NAME SERVER/],
      [["add"], /dp balancer add needs NAME --port N SERVER=IP:PORT/],
      [["remove", "shop", "a"], /dp balancer remove needs NAME/],
      [["open", "shop"], /dp balancer does not know "open"/],
      [["drain", "none", "a"], /no balancer "?none/],
    ];
    for (const [words, message] of bad) {
      const outcome = await dp(...words);
      expect([outcome.code === 2 || outcome.code === 8, outcome.stderr]).toEqual([
        true,
        expect.stringMatching(message),
      ]);
    }
    expect((await dp()).stdout).toStartWith("no balancer here");
    expect(pidsWith(`${boxes[0]!.root}/var/lib/dp/haproxy/dp.cfg`)).toEqual([]);
  });

  test("is added, checks its servers, and hands the client's address on", async () => {
    expectCode(
      await dp("add", "shop", "--port", String(port), "--host", "127.0.0.1", "--check", "/health", ...servers()),
      0,
    );
    await until("all servers are up", async () => (await upNow()).length === 3);
    // The same again changes nothing.
    expect(
      (await dp("add", "shop", "--port", String(port), "--host", "127.0.0.1", "--check", "/health", ...servers()))
        .stdout,
    ).toBe("");
    const seen: Headers[] = [];
    const echo = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (request) => (seen.push(request.headers), new Response("ok")),
    });
    const other = await claimPort();
    try {
      expectCode(
        await dp(
          "add",
          "echo",
          "--port",
          String(other.port),
          "--trusted-proxies",
          "127.0.0.2,127.0.4.0/24",
          "--check-host",
          "shop.example.com",
          `a=127.0.0.1:${echo.port}`,
        ),
        0,
      );
      await until("the echo is up", () => seen.some((headers) => headers.get("host") === "shop.example.com"));
      await until(
        "it answers",
        async () => (await fetch(`http://127.0.0.1:${other.port}/`, { proxy: "" } as RequestInit)).ok,
      );
      for (const [address, told] of [
        ["127.0.0.1", "127.0.0.1"],
        ["127.0.0.2", "203.0.113.9, 127.0.0.2"],
        ["127.0.4.9", "203.0.113.9, 127.0.4.9"],
      ] as const) {
        const ask = ["curl", "-sS", "--noproxy", "*", "--interface", address, "-H", "X-Forwarded-For: 203.0.113.9"];
        expectCode(await boxes[0]!.start([...ask, `http://127.0.0.1:${other.port}/`]).done, 0);
        // Checks have no such line.
        expect(seen.map((headers) => headers.get("x-forwarded-for")).findLast((line) => line !== null)).toBe(told);
      }
      expectCode(await dp("remove", "echo"), 0);
    } finally {
      await echo.stop(true);
      other.release();
    }
    expect(await upNow()).toEqual([...NAMES]);
  });

  test("no request fails while all three servers deploy, though none is drained", async () => {
    const under = load();
    for (const [at, box] of boxes.entries()) await box.release({ say: `two of ${NAMES[at]}` });
    const { sent, failed, by } = await under.stop();
    expect(failed).toEqual([]);
    expect(sent).toBeGreaterThan(100);
    expect([...by].sort()).toEqual([...NAMES]);
  });

  test("another balancer that HAProxy cannot have costs this one nothing", async () => {
    const under = load();
    await until("it is under load", () => under.counts.by.size === 3);
    const outcome = await dp("add", "other", "--port", String(await freePort()), "--host", "192.0.2.1", ...servers());
    expectCode(outcome, 8);
    expect(outcome.stderr).toContain("HAProxy cannot load its new configuration; the previous one is still active");
    expect((await dp("--json")).stdout).not.toContain("other");
    expect(await upNow()).toEqual([...NAMES]);
    expect((await under.stop()).failed).toEqual([]);
    expect((await boxes[0]!.dp("doctor")).text).not.toContain("HAProxy");
  });

  test("a drained server gets no request, also after a restart of HAProxy, until it is let back in", async () => {
    const under = load();
    const drained = await dp("drain", "shop", "b");
    expectCode(drained, 0);
    expect(drained.stdout).toBe("b gets no requests of shop, and has none left\n");
    under.counts.by.clear();
    await until("a and c answer", () => under.counts.by.has("a") && under.counts.by.has("c"));
    expect((await under.stop()).failed).toEqual([]);
    expect([...under.counts.by].sort()).toEqual(["a", "c"]);
    expect((await dp()).stdout).toMatch(/ b +127\.0\.0\.1:\d+ +drained /);
    const doctor = await boxes[0]!.dp("doctor");
    expect(doctor.text).toContain("of the balancer shop is drained");
    const status = await boxes[0]!.dp("status");
    expect(status.stdout).toContain(`balancer shop on 127.0.0.1:${port}: 2 of 3 servers get requests\n`);
    // The last ones that are left: not by accident.
    expectCode(await dp("drain", "shop", "a"), 0);
    const last = await dp("drain", "shop", "c");
    expectCode(last, 2);
    expect(last.stderr).toContain("c is the only server of shop that gets requests");
    expectCode(await dp("ready", "shop", "a"), 0);
    for (const pid of pidsWith(`${boxes[0]!.root}/var/lib/dp/haproxy/dp.cfg`)) process.kill(pid, "SIGKILL");
    await until("HAProxy is back", async () => (await upNow().catch(() => [])).length === 2);
    expect(await upNow()).toEqual(["a", "c"]);
    expectCode(await dp("ready", "shop", "b"), 0);
    await until("b is back", async () => (await upNow()).length === 3);
  });

  test("the loss of a server costs no more than the requests in its hand, and is told", async () => {
    const under = load();
    await until("all answer", () => under.counts.by.size === 3);
    await boxes[2]!.cutPower();
    await until("it is seen", async () => (await upNow()).length === 2);
    const { failed, sent } = await under.stop();
    // GETs are sent again; each of three clients may have had a POST there.
    expect(failed.filter((each) => each.startsWith("GET"))).toEqual([]);
    expect(failed.length).toBeLessThanOrEqual(3);
    expect(sent).toBeGreaterThan(20);
    const doctor = await boxes[0]!.dp("doctor");
    expect(doctor.text).toMatch(/c \(127\.0\.0\.1:\d+\) of the balancer shop fails its check: /);
    expect((await shop()).error).toBeNull();
  });

  test("a configuration that somebody changed is told, and doctor --fix writes it again", async () => {
    const config = `${boxes[0]!.root}/var/lib/dp/haproxy/dp.cfg`;
    appendFileSync(config, "# by hand\n");
    expect((await boxes[0]!.dp("doctor")).text).toContain("is not as this dp writes it");
    await boxes[0]!.dp("doctor", "--fix");
    expect(readFileSync(config, "utf8")).not.toContain("# by hand");
    expect((await shop()).error).toBeNull();
  });

  test("removed, it is gone", async () => {
    expectCode(await dp("remove", "shop"), 0);
    expectCode(await dp("remove", "shop"), 2);
    expect(pidsWith(`${boxes[0]!.root}/var/lib/dp/haproxy/dp.cfg`)).toEqual([]);
  });
});
