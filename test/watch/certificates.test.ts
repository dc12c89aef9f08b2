// When a certificate is late: only when it was not renewed in time, and daily only in its last days.
import { expect, test } from "bun:test";
import { lateKey } from "../../lib/watch/certificates.ts";

const DAY = 24 * 3_600_000;
const FROM = Date.UTC(2026, 0, 1);
const iso = (ms: number) => new Date(ms).toISOString();

/** The keys of looks at these days of a certificate that lives for so many days. */
const keys = (life: number, ...days: number[]) => days.map((day) => keyAt({ life, day, source: "acme" }));

function keyAt({ life, day, source }: { life: number; day: number; source: "acme" | "file" }) {
  return lateKey({ from: iso(FROM), until: iso(FROM + life * DAY), source }, FROM + day * DAY + 1);
}

test("one of 90 days: nothing until a week is left, then once, then daily", () => {
  const [early, due, again, last, next, over] = keys(90, 82, 83, 86, 87, 88, 91);
  expect(early).toBeNull();
  expect(due).not.toBeNull();
  expect(again).toBe(due!);
  expect(new Set([due, last, next, over]).size).toBe(4);
});

test("one of 6 days: a sixth of its life, for its renewal is tried from a third on", () => {
  expect(keys(6, 1, 4, 4.9)).toEqual([null, null, null]);
  expect(keys(6, 5)[0]).not.toBeNull();
});

test("one of a single day is late in its last hours", () => {
  expect(keys(1, 0.5, 0.7)).toEqual([null, null]);
  expect(keys(1, 0.84)[0]).not.toBeNull();
});

test("one that somebody has to bring: two weeks, or a third of its life", () => {
  const found = [
    { life: 90, day: 75 },
    { life: 90, day: 76 },
    { life: 6, day: 3.9 },
    { life: 6, day: 4 },
  ].map((each) => keyAt({ ...each, source: "file" }) !== null);
  expect(found).toEqual([false, true, false, true]);
});

test("a renewed one is another", () => {
  const renewed = { from: iso(FROM + 84 * DAY), until: iso(FROM + 174 * DAY), source: "acme" as const };
  expect(lateKey(renewed, FROM + 85 * DAY)).toBeNull();
});
