// Load on a real server while releases, the relay and dp itself are replaced: requests from outside, real pushes over
// ssh, Flask under gunicorn. The tests build on each other, on one server.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { load, type Load, type LoadResult } from "../fronts/relay/support/load.ts";
import { boxUnavailable, freePort, until } from "../support/box.ts";
import { type Server, startServer } from "../support/server-box.ts";
import { type Laptop, openLaptop } from "../support/server-laptop.ts";
import { flaskApp, gentle } from "../support/server-web.ts";

const why = boxUnavailable();
/** Every client of the load has one request under way at most. */
const CLIENTS = gentle.keepAlive + gentle.fresh + gentle.slow + gentle.downloads;

describe.skipIf(why !== null)(`load on a server${why === null ? "" : ` (skipped: ${why})`}`, () => {
  let box: Server;
  let shop: Laptop;
  let port = 0;

  beforeAll(async () => {
    box = await startServer("load");
    shop = await openLaptop(box, "shop");
    port = await freePort();
    await box.mustDp("setup", "shop", "--port", `${port}`);
    await box.hurry("shop");
    await shop.commit(flaskApp("shop"), "first");
    await shop.push();
  });
  afterAll(async () => {
    shop?.remove();
    await box?.stop();
  });

  /** What came of a load while `change` ran, and until the release that is live then has answered. */
  const under = async (what: string, change: (running: Load) => Promise<unknown>): Promise<LoadResult> => {
    const running = load({ ...gentle, port });
    try {
      const answered = (count: number) =>
        until(`${count} more requests, the newest release's among them`, async () => {
          const { answers, requests, failed } = running.soFar();
          return requests - failed > count && (await box.live("shop")) in answers;
        });
      await answered(40);
      await change(running);
      await answered(running.soFar().requests + 40);
    } finally {
      await running.stop();
    }
    const result = running.soFar();
    const gap = Math.round(result.longestGap);
    console.log(`${what}: ${result.failed} of ${result.requests} requests failed, longest gap ${gap} ms`);
    return result;
  };
  const expectNone = ({ failed, failures }: LoadResult) =>
    expect({ failed, failures }).toEqual({ failed: 0, failures: [] });
  const relayPid = async () => Number(await box.must("systemctl show -P MainPID dp-relay"));

  test("its relay is a service that passes systemd's own checks, closed to all but it and root", async () => {
    const units = "/etc/systemd/system/dp-relay.service /etc/systemd/system/dp-reconcile.service";
    expect((await box.ssh(`systemd-analyze verify ${units}`)).text).toBe("");
    const said = await box.must("systemd-analyze security --no-pager dp-relay");
    expect(Number(/exposure level for .*: ([\d.]+)/.exec(said)?.[1])).toBeLessThan(2);
    expect(await box.must(`ps -o user= -p ${await relayPid()}`)).toBe("dp-relay");
    expect(await box.must("systemctl is-enabled dp-relay dp-reconcile")).toBe("enabled\nenabled");
    expect(await box.must("cd /var/lib/dp/relay && stat -c '%U %a' . control.sock routes.json")).toBe(
      "dp-relay 700\ndp-relay 600\ndp-relay 600",
    );
    expect(await box.must("systemctl show -P NFileDescriptorStore dp-relay")).toBe("1");
  });

  test("five pushes: nothing fails, and every release answers in its turn", async () => {
    const ids = [await box.live("shop")];
    const result = await under("5 pushes", async ({ heard }) => {
      for (let count = 1; count <= 5; count++) {
        await shop.commit({ "version.txt": `${count}` });
        const { text } = await shop.push();
        expect(text).toMatch(/live: shop .*; requests \d+, failed 0, longest gap \d+ ms/);
        ids.push(await box.live("shop"));
        await heard(ids.at(-1)!);
      }
    });
    expectNone(result);
    expect(Object.keys(result.answers)).toEqual(ids);
    expect(await box.instances("shop")).toEqual([ids.at(-1)!]);
  });

  test("strategy restart: requests wait while the app restarts, and nothing fails", async () => {
    await box.must("echo 'strategy: restart' >> /opt/deployments/shop/config.yml");
    const result = await under("2 pushes by strategy restart", async () => {
      for (let count = 1; count <= 2; count++) {
        await shop.commit({ "version.txt": `restart ${count}` });
        expect((await shop.push()).text).toMatch(/strategy restart: requests waited for \d+\.\d s/);
      }
    });
    expectNone(result);
    await box.must("sed -i '/^strategy:/d' /opt/deployments/shop/config.yml");
  });

  test("systemctl restart dp-relay: nothing fails", async () => {
    const before = await relayPid();
    const result = await under("3 restarts of the relay", async () => {
      for (let count = 0; count < 3; count++) await box.must("systemctl restart dp-relay");
    });
    expectNone(result);
    expect(await relayPid()).not.toBe(before);
  });

  test("kill -9 of the relay: only requests under way fail, and no connection is refused", async () => {
    for (let count = 0; count < 2; count++) {
      const before = await relayPid();
      const { failed, failures } = await under("kill -9 of the relay", async () => {
        await box.must(`kill -KILL ${before}`);
        await until("systemd has started another", async () => ![0, before].includes(await relayPid()));
      });
      expect(failures.filter(({ why }) => /REFUSED|50\d|within/.test(why))).toEqual([]);
      expect(failed).toBeLessThanOrEqual(CLIENTS);
    }
    expect(await box.must("systemctl is-active dp-relay")).toBe("active");
  });

  test("an upgrade of dp: the relay goes on, and the next push restarts it; nothing fails", async () => {
    await box.must('sed -i \'s/"version": "[^"]*"/"version": "0.0.99"/\' /srv/dp/package.json');
    const before = await relayPid();
    const result = await under("an upgrade and a push", async () => {
      await box.must("DP_BUN=/usr/local/lib/bun /srv/dp/install.sh");
      expect(await box.mustDp("--version")).toContain("0.0.99");
      expect(await relayPid()).toBe(before);
      await shop.commit({ "version.txt": "after the upgrade" });
      await shop.push();
    });
    expectNone(result);
    expect(await relayPid()).not.toBe(before);
    const program = await box.must(`readlink /proc/${await relayPid()}/exe`);
    expect(program).toStartWith(await box.must("readlink -f /opt/dp"));
    expect(await box.mustDp("reconcile", "shop")).not.toContain("restarted");
  });
});
