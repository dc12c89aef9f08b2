// Outages: what a rollback, a reconcile and the relay itself make of them, and what they cost the clients.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  ALL,
  QUICK,
  complaints,
  configure,
  ended,
  figures,
  loadSandbox,
  smallApp,
  under,
} from "../support/load-run.ts";
import type { DiskFull } from "../support/load-disk.ts";
import { killInstance, killRelay, killRelayForGood, relayOf, routeOf } from "../support/load-damage.ts";
import { until, type Sandbox } from "../support/sandbox.ts";

let box: Sandbox;
beforeAll(async () => {
  box = await loadSandbox();
  await box.release(smallApp(box.app));
}, 60_000);
afterAll(() => box?.stop());

const live = () => box.link("current")!;
const running = () => Object.keys(box.instances()).sort();
const reconcile = () => box.dp("reconcile", box.app);

async function expectServing(id: string): Promise<void> {
  expect(box.link("current")).toBe(id);
  expect(await box.answer()).toBe(id);
  expect(await box.answer("/health")).toBe("well");
}

describe("keepWarm", () => {
  let [a, b] = ["", ""];
  beforeAll(async () => {
    configure(box, { keepWarm: "10m" });
    a = live();
  });
  afterAll(() => configure(box, { keepWarm: null }));

  test("the old instance stays, and dp rollback under load is nothing but a switch", async () => {
    b = await box.release(smallApp(box.app));
    expect(running()).toEqual([a, b].sort());
    const before = box.instances()[a];
    // What is left now has its time again, a short one.
    configure(box, { keepWarm: "2s" });
    const proof = await under(box, ALL, () => box.dp("rollback", box.app));
    console.log(figures("rollback to a warm release", proof));
    expect(ended(proof.result)).toBe("0");
    expect(complaints(proof)).toEqual([]);
    expect(proof.watched.releases).toEqual([b, a]);
    expect(box.run().facts["isWarm"]).toBe(true);
    expect(box.instances()[a]).toEqual(before!);
    expect(proof.result.text).toMatch(/start .*is still warm on port \d+/);
    expect(proof.result.text).toMatch(/requests \d+, failed 0/);
    await expectServing(a);
  });

  test("when its time is over the old one is gone by itself, and nothing is left to do", async () => {
    await until("the end of the warm instance", () => !running().includes(b));
    await until("its record is gone", () => !existsSync(join(box.base, "instances", `${b}.warm`)));
    await expectServing(a);
    await until("nothing to do", async () => (await reconcile()).text.includes("nothing to do"));
  });

  test("a second deploy while one is warm: both old ones stay for their time, and nothing is lost", async () => {
    configure(box, { keepWarm: "10m" });
    const second = await box.release(smallApp(box.app));
    await box.commit(smallApp(box.app));
    const proof = await under(box, QUICK, () => box.push());
    expect(ended(proof.result)).toBe("0");
    expect(complaints(proof)).toEqual([]);
    expect(running()).toEqual([a, second, live()].sort());
    expect((await reconcile()).text).toContain("nothing to do");
    // Without their records they are strays.
    for (const id of [a, second]) rmSync(join(box.base, "instances", `${id}.warm`));
    expect((await reconcile()).text).toContain(`stopped ${box.app}@${second}, which is not live`);
    expect(running()).toEqual([live()]);
  });
});

describe("dp rollback in the middle of an outage", () => {
  let old = "";
  beforeEach(async () => {
    old = live();
    await box.release(smallApp(box.app));
  });

  test("the live instance is dead, its supervisor too", async () => {
    await killInstance(box, live());
    const back = await box.dp("rollback", box.app);
    expect(ended(back)).toBe("0");
    await expectServing(old);
    expect(running()).toEqual([old]);
  });

  test("the relay is dead, its supervisor too", async () => {
    await killRelayForGood(box);
    const back = await box.dp("rollback", box.app);
    expect(ended(back)).toBe("0");
    await expectServing(old);
    expect(running()).toEqual([old]);
  });

  test("both are", async () => {
    await killInstance(box, live());
    await killRelayForGood(box);
    const back = await box.dp("rollback", box.app);
    expect(ended(back)).toBe("0");
    await expectServing(old);
    expect(running()).toEqual([old]);
  });
});

// A small file system of its own, which is gone with the last process that sees it.
const namespace = ["unshare", ...(process.getuid?.() === 0 ? [] : ["--map-root-user"]), "--mount", "sh", "-c"];
const mount = 'mount -t tmpfs -o size=32m tmpfs "$1" || exit 99; TMPDIR=$1; export TMPDIR; shift; "$@"';
const canMount = Bun.spawnSync([...namespace, mount, "sh", "/mnt", "true"]).exitCode === 0;
if (!canMount) console.warn("load: a rollback on a full disk is left out: this user may not mount a small one");

test.skipIf(!canMount)("dp rollback without a free byte on the disk", async () => {
  const folder = mkdtempSync(join(tmpdir(), "dp-disk-"));
  try {
    const program = join(import.meta.dir, "../support/load-disk.ts");
    const child = Bun.spawn([...namespace, mount, "sh", folder, process.execPath, program], { stderr: "inherit" });
    const { free, releases, rollback, push, again, ballast } = JSON.parse(await child.stdout.text()) as DiskFull;
    const [back, , answered] = releases;
    expect(free).toBe(0);
    expect(`${rollback.code} ${rollback.code === 0 ? "" : rollback.text}`).toBe("0 ");
    expect(answered).toBe(back);
    expect([push.code, push.answered]).toEqual([1, back]);
    expect(again.code).toBe(0);
    expect(ballast).toEqual([true, false, true]);
  } finally {
    rmdirSync(folder);
  }
});

test("the relay is killed under load: it is back by itself, and only what it had in hand is lost", async () => {
  const { target } = (await routeOf(box))!;
  const proof = await under(box, ALL, async () => {
    await Bun.sleep(1_000);
    const begun = performance.now();
    const killed = await killRelay(box);
    const now = await until("the relay is back", async () => {
      if (!(await relayOf(box).isRunning())) return null;
      const status = await relayOf(box).status();
      return status.routes.some(({ isListening }) => isListening) ? status : null;
    });
    const away = performance.now() - begun;
    await Bun.sleep(1_000);
    return { killed, now, away };
  });
  const { killed, now, away } = proof.result;
  const reasons = Object.entries(proof.reasons).flatMap(([why, count]) => Array.from({ length: count }, () => why));
  const all = [...reasons, ...proof.watched.failures];
  const refused = all.filter((why) => /refused/i.test(why));
  const inHand = all.filter((why) => !refused.includes(why));
  console.log(
    `${figures("relay killed", proof)}: ${inHand.length} in hand, ${refused.length} connects refused, away ${Math.round(away)} ms`,
  );
  expect(now.pid).not.toBe(killed);
  expect((await routeOf(box))!.target).toEqual(target);
  // One request at a time of each client, and each of those that watch.
  const clients = ALL.keepAlive! + ALL.fresh! + ALL.slow! + ALL.downloads! + ALL.websockets! + 4;
  expect(inHand.length).toBeGreaterThan(0);
  expect(inHand.length).toBeLessThanOrEqual(clients);
  for (const why of inHand) expect(why).toMatch(/EOF|ECONNRESET|reset|EPIPE/i);
  await expectServing(live());
});

describe("dp reconcile puts right, in one run,", () => {
  let other = "";
  beforeAll(async () => {
    other = live();
    await box.release(smallApp(box.app));
  });
  afterEach(async () => {
    // Whatever it was: the second run has nothing to do, and the app serves.
    const again = await reconcile();
    expect(ended(again)).toBe("0");
    expect(again.text).toContain("nothing to do");
    await expectServing(live());
    expect(running()).toEqual([live()]);
    const route = await routeOf(box);
    expect([route?.isListening, route?.target?.id]).toEqual([true, live()]);
  });

  const damages: [string, () => Promise<unknown>, () => RegExp][] = [
    ["an instance that was killed", () => killInstance(box, live()), () => /started shop@/],
    [
      "a front that points elsewhere",
      () => relayOf(box).point(box.app, { id: other, port: 9 }),
      () => /pointed the front at shop@/,
    ],
    ["a front that points nowhere", () => relayOf(box).point(box.app, null), () => /pointed the front at shop@/],
    ["a front that holds its requests back", () => relayOf(box).hold(box.app, 60_000), () => /front/],
    ["a route that is gone", () => relayOf(box).remove(box.app), () => /the relay holds .* for shop/],
    ["a relay that is gone", () => killRelayForGood(box), () => /started the relay/],
    [
      "a record of the port that is gone",
      async () => rmSync(join(box.base, "instances", `${live()}.port`)),
      () => /started|pointed/,
    ],
    [
      "all of it at once",
      async () => {
        await killInstance(box, live());
        await killRelayForGood(box);
        rmSync(join(box.base, "instances", `${live()}.port`));
      },
      () => /started the relay[\s\S]*started shop@/,
    ],
  ];
  test.each(damages)("%s", async (_, damage, says) => {
    await damage();
    const first = await reconcile();
    expect(ended(first)).toBe("0");
    expect(first.text).toMatch(says());
  });
});
