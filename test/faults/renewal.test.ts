// A renewal that is killed, or whose disk is full, with a real authority: the old certificate serves on, and the next try
// mends it.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { missing } from "../support/acme.ts";
import { domainBox, NAME, serialOf, type DomainBox } from "../support/domain-box.ts";
import { straceUnavailable, straced } from "../support/strace.ts";
import { ALL_FAULTS } from "./points.ts";
import { seedOf, spread } from "./seed.ts";

/** The calls by which dp itself changes the disk, and reaches the relay and the DNS. */
const CALLS = ["rename", "unlink", "fsync", "fchmod", "connect"];
/** The calls by which lego writes a file. */
const LEGO = ["openat", "write"];
/** Milliseconds for a choice of them. */
const BUDGET = 15_000;
const LEAST = 5;

const unavailable = straceUnavailable() ?? (missing.length > 0 ? `there is no ${missing.join(", ")}` : null);
if (unavailable) console.warn(`kills of a renewal are left out: ${unavailable}`);

let shop: DomainBox;
let log = "";
beforeAll(async () => {
  if (unavailable) return;
  shop = await domainBox();
  log = mkdtempSync(join(tmpdir(), "dp-strace-"));
}, 120_000);
afterAll(async () => {
  await shop?.stop();
  if (log) rmSync(log, { recursive: true });
});

/** One place: a call, its number, for lego the file that it is about; and what happens there. */
type Place = readonly [name: string, nth: number, file: string | null, fault: string];
const KILL = "signal=SIGKILL";
const FULL = "error=ENOSPC";
const RENEW = ["domains", "shop", "renew", NAME];

/** How often the calls are made by dp itself, in an undisturbed renewal. */
async function placesOfDp(): Promise<Place[]> {
  const file = join(log, "calls");
  expect(await straced(shop.box, ["-qq", "-o", file, "-e", `trace=${CALLS.join(",")}`], ...RENEW)).toBe(0);
  const lines = readFileSync(file, "utf8").split("\n");
  return CALLS.flatMap((name) => {
    const count = lines.filter((line) => line.startsWith(`${name}(`)).length;
    const faults = name === "fsync" ? [KILL, FULL] : [KILL];
    return faults.flatMap((fault) =>
      Array.from({ length: count }, (_, index) => [name, index + 1, null, fault] as const),
    );
  });
}

/** The files of lego, which writes them in place; the names of its accounts have the authority's port in them. */
function placesOfLego(): Place[] {
  const folder = join(shop.folder, "lego");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
    /\.(crt|key|json)$/.test(name),
  );
  return files.flatMap((file) => [
    ...LEGO.map((name) => [name, 1, join(folder, file), KILL] as const),
    ["write", 1, join(folder, file), FULL] as const,
  ]);
}

async function disturbAt([name, nth, file, fault]: Place): Promise<void> {
  // The account is made again only when it is not there.
  if (file?.includes("/accounts/")) rmSync(join(shop.folder, "lego/accounts"), { recursive: true, force: true });
  const about = file === null ? [] : ["-f", "-P", file];
  const inject = `inject=${name}:${fault}:when=${nth}`;
  await straced(shop.box, ["-qq", "-o", "/dev/null", ...about, "-e", `trace=${name}`, "-e", inject], ...RENEW);
}

const leftovers = () => [
  ...readdirSync(shop.own).filter((name) => name.includes(".tmp.")),
  ...readdirSync(join(shop.folder, "challenges/.well-known/acme-challenge")),
];

/** Disturbs a renewal at one place, and then looks at all that it may have left. */
async function expectMended(place: Place): Promise<void> {
  const before = serialOf(shop.pair());
  shop.forget();
  await disturbAt(place);
  // A key with another's certificate does not get this far.
  const after = serialOf(shop.pair());
  expect([before, after]).toContain(await shop.served());
  // The timer makes the front use what was written, and orders nothing.
  const orders = shop.orders();
  const look = await shop.box.dp("certificates");
  expect([look.code, look.text, await shop.served(), shop.orders()]).toEqual([0, "", after, orders]);
  const { code, text } = await shop.box.dp(...RENEW);
  expect([code, text]).toEqual([0, expect.stringContaining(`live: https://${NAME}`)]);
  const last = serialOf(shop.pair());
  expect(last).not.toBe(after);
  expect([await shop.served(), shop.state().error]).toEqual([last, null]);
  expect(leftovers()).toEqual([]);
}

describe.skipIf(unavailable !== null)("a renewal", () => {
  test("that is killed, or finds the disk full, leaves the old certificate, and the next one mends it", async () => {
    shop.forget();
    const all = [...(await placesOfDp()), ...placesOfLego()];
    for (const name of ["rename", "fsync", "connect", "write"]) expect(all.map(([call]) => call)).toContain(name);
    const end = performance.now() + BUDGET;
    let tried = 0;
    for (const place of ALL_FAULTS ? all : spread(all, seedOf("renewal"))) {
      if (!ALL_FAULTS && tried >= LEAST && performance.now() > end) break;
      tried++;
      try {
        await expectMended(place);
      } catch (error) {
        throw new Error(`disturbed at ${place.join(" ")}`, { cause: error });
      }
    }
    console.log(`disturbed at ${tried} of ${all.length} places`);
  }, 1_800_000);
});
