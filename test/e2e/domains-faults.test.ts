// What may go wrong with a renewal, besides its death: a slow or silent authority, a wrong clock, a full disk.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { missing } from "../support/acme.ts";
import { domainBox, NAME, serialOf, type DomainBox } from "../support/domain-box.ts";
import { until, type Outcome } from "../support/sandbox.ts";
import { stalling, type Stalling } from "../support/stalling.ts";

const isAble = missing.length === 0;
if (!isAble) console.error(`skipped: there is no ${missing.join(", ")}`);

/** Debian's library for wrong clocks, in the folder of the machine's kind. */
const [faketime] = new Bun.Glob("*/faketime/libfaketimeMT.so.1").scanSync({ cwd: "/usr/lib", absolute: true });
const hasClock = isAble && faketime !== undefined;
if (isAble && !hasClock) console.warn("a wrong clock is left out: there is no faketime");

const canMount = Bun.spawnSync(["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).exitCode === 0;
if (!canMount) console.warn("a full disk is left out: this user may not mount a small one");

let shop: DomainBox;
let way: Stalling;
beforeAll(async () => {
  if (!isAble) return;
  shop = await domainBox();
  way = stalling(Number(/:(\d+)\/dir/.exec(shop.acme.settings)![1]));
  writeFileSync(shop.tlsYml, shop.acme.settings.replace(/:\d+\/dir/, `:${way.port}/dir`));
}, 120_000);
afterEach(() => {
  if (isAble) [way.delay, way.left] = [0, Infinity];
});
afterAll(async () => {
  way?.stop();
  await shop?.stop();
});

const RENEW = ["domains", "shop", "renew", NAME];
const renew = (more: Record<string, string> = {}) => shop.box.start([shop.box.program, ...RENEW], more).done;

async function expectCode(done: Promise<Outcome>, code: number): Promise<string> {
  const outcome = await done;
  expect(`${outcome.code}${outcome.code === code ? "" : `\n${outcome.text}`}`).toBe(String(code));
  return outcome.text;
}

/** The old certificate serves, and the next try brings another. */
async function expectMended(old: string): Promise<void> {
  expect([await shop.served(), serialOf(shop.pair())]).toEqual([old, old]);
  shop.forget();
  await expectCode(renew(), 0);
  const now = serialOf(shop.pair());
  expect(now).not.toBe(old);
  expect([await shop.served(), shop.state().error]).toEqual([now, null]);
}

describe.skipIf(!isAble)("an authority", () => {
  test("that is slow gives its certificate all the same", async () => {
    const old = await shop.served();
    way.delay = 200;
    await expectMended(old);
  });

  test("that does not answer is given up, and nothing is tried before the pause is over", async () => {
    const old = await shop.served();
    shop.forget();
    way.left = 0;
    const text = await expectCode(renew(), 6);
    expect(text).toContain(`${NAME} has no new certificate yet: the CA cannot be reached`);
    expect(Date.parse(shop.state().next!)).toBeGreaterThan(Date.now());
    way.left = Infinity;
    await expectMended(old);
  }, 120_000);

  test("that stops in the middle keeps the next order waiting, which goes on when the first is killed", async () => {
    shop.forget();
    const [orders, connections] = [shop.orders(), way.count()];
    way.left = 6;
    const first = shop.box.start([shop.box.program, ...RENEW]);
    await until("the authority is silent", () => way.count() > connections && way.left < 0);
    const { env, program } = shop.box;
    const second = Bun.spawn([program, ...RENEW], { cwd: "/", env, stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    const all = (async () => {
      for await (const chunk of second.stdout) said += new TextDecoder().decode(chunk);
    })();
    await until("the second one waits", () => said.includes("waiting for another order to end"));
    way.left = Infinity;
    process.kill(first.pid, "SIGKILL");
    await first.done;
    await all;
    expect([await second.exited, said]).toEqual([0, expect.stringContaining(`live: https://${NAME}`)]);
    expect(shop.orders()).toBeGreaterThan(orders);
    expect(await shop.served()).toBe(serialOf(shop.pair()));
  });
});

describe.skipIf(!hasClock)("a clock", () => {
  /** The timer's look, by a clock that is wrong; the authority's and lego's is right. */
  const look = (clock: string | null) => {
    const wrong = { LD_PRELOAD: faketime!, FAKETIME: clock ?? "", DONT_FAKE_MONOTONIC: "1" };
    return expectCode(shop.box.start([shop.box.program, "certificates"], clock === null ? {} : wrong).done, 0);
  };

  // Certificates of the authority are for five years.
  test("that is years ahead orders once a day, and is forgotten once it is right", async () => {
    shop.forget();
    const [old, first] = [await shop.served(), shop.orders()];
    expect(await look("+4y")).toContain(`${NAME}: has a new certificate, until `);
    expect(shop.state().error).toBe("the new certificate is due at once: is the clock of this server right?");
    const [now, orders] = [await shop.served(), shop.orders()];
    expect(now).not.toBe(old);
    expect(orders).toBeGreaterThan(first);
    for (const clock of ["+4y", "+35060h"]) expect(await look(clock)).toBe("");
    expect(shop.orders()).toBe(orders);
    expect(await look(null)).toBe("");
    expect([shop.orders(), shop.state().error, shop.state().next]).toEqual([orders, null, null]);
    expect(await shop.served()).toBe(now);
    // The orders of the future are not held against it.
    for (let count = 0; count < 3; count++) await expectCode(renew(), 0);
    await expectCode(renew(), 6);
  });

  test("that is so far ahead that each certificate has ended replaces no good one, and waits", async () => {
    shop.forget();
    const old = await shop.served();
    expect(await look("+6y")).toContain("the certificate has ended on ");
    const orders = shop.orders();
    for (let count = 0; count < 2; count++) expect(await look("+6y")).toBe("");
    expect(shop.orders()).toBe(orders);
    expect(await look(null)).toBe("");
    expect([shop.state().error, shop.orders()]).toEqual([null, orders]);
    await expectMended(old);
  });

  test("that is years or an hour behind, or an hour ahead, orders nothing, and gets what is missing", async () => {
    shop.forget();
    const [old, orders] = [await shop.served(), shop.orders()];
    for (const clock of ["-10y", "-1h", "+1h"]) expect(await look(clock)).toBe("");
    expect([await shop.served(), shop.orders()]).toEqual([old, orders]);
    rmSync(join(shop.own, "pair.pem"));
    expect(await look("-10y")).toContain(`${NAME}: has a new certificate, until `);
    expect(await shop.served()).toBe(serialOf(shop.pair()));
    expect(await look(null)).toBe("");
    await expectMended(await shop.served());
  });
});

describe.skipIf(!isAble || !canMount)("a full disk", () => {
  /** A renewal for which a folder is a small file system of its own, of so many pages. */
  function renewOn(folder: string, pages: number, filled: number): Promise<Outcome> {
    const script = `mount -t tmpfs -o size=${pages * 4}k tmpfs "$1" || exit 99
head -c ${filled * 4096} /dev/zero > "$1/full"; shift; exec "$@"`;
    return shop.box.start(["unshare", "--mount", "sh", "-c", script, "sh", folder, shop.box.program, ...RENEW]).done;
  }

  test("under the key and its state: nothing is ordered", async () => {
    shop.forget();
    const [old, orders] = [await shop.served(), shop.orders()];
    const text = await expectCode(renewOn(shop.own, 1, 1), 8);
    expect(text).toContain("the disk is full: ");
    expect(text).toContain("state.json cannot be written");
    expect(shop.orders()).toBe(orders);
    await expectMended(old);
  });

  test.each([1, 4])("under lego, after %d pages: the try counts, and the next one mends it", async (pages) => {
    const old = await shop.served();
    shop.forget();
    const text = await expectCode(renewOn(join(shop.folder, "lego"), pages, 1), 6);
    expect(text).toContain("no space left on device");
    expect(shop.state().tries).toBe(1);
    await expectMended(old);
  });
});

describe.skipIf(!isAble)("a name whose folder of certificates is gone", () => {
  test("stops no other name", async () => {
    const config = join(shop.box.base, "config.yml");
    const before = readFileSync(config, "utf8");
    const gone = join(shop.box.code, "../gone");
    writeFileSync(config, before.replace("domains:\n", `domains:\n  - { name: a.test, certificate: ${gone} }\n`));
    expect((await shop.box.dp("reconcile", "shop")).code).toBe(0);
    rmSync(join(shop.own, "pair.pem"));
    shop.forget();
    const { code, text } = await shop.box.dp("certificates");
    expect(code).toBe(0);
    expect(text).toContain(`a.test: ${gone}/`);
    expect(text).toContain(`${NAME}: has a new certificate`);
    writeFileSync(config, before);
  });
});
