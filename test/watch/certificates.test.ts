// When a certificate is late: only when it was not renewed in time, and daily only in its last days.
import { expect, test } from "bun:test";
import { lateKey } from "../../lib/watch/certificates.ts";

const DAY = 24 * 3_600_000;
const FROM = Date.UTC(2026, 0, 1);
const iso = (ms: number) => new Date(ms).toISOString();

/** The keys of looks at these days of a certificate that lives for so many days. */
const keys = (life: number, ...days: number[]) =>
  days.map((day) => lateKey({ from: iso(FROM), until: iso(FROM + life * DAY) }, FROM + day * DAY + 1));

test("one of 90 days: nothing until a week is left, then once, then daily", () => {
  const [early, due, again, last, next, over] = keys(90, 82, 83, 86, 87, 88, 91);
  expect(early).toBeNull();
  expect(due).not.toBeNull();
  expect(again).toBe(due!);
  expect(new Set([due, last, next, over]).size).toBe(4);
});

test("one of 6 days: a third of its life", () => {
  expect(keys(6, 1, 3.9)).toEqual([null, null]);
  expect(keys(6, 4)[0]).not.toBeNull();
});

test("one of a single day is late in its last third", () => {
  expect(keys(1, 0.5)).toEqual([null]);
  expect(keys(1, 0.7)[0]).not.toBeNull();
});

test("a renewed one is another", () => {
  const renewed = { from: iso(FROM + 84 * DAY), until: iso(FROM + 174 * DAY) };
  expect(lateKey(renewed, FROM + 85 * DAY)).toBeNull();
});
