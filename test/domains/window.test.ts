// The name that a CA has for a certificate when it is asked when to renew it.
import { expect, test } from "bun:test";
import { isDue } from "../../lib/domains/obtain.ts";
import { idOf } from "../../lib/domains/window.ts";

test("the example of RFC 9773", () => {
  expect(idOf("69:88:5B:6B:87:46:40:41:E1:B3:7B:84:7B:A0:AE:2C:DE:01:C8:D4", "87654321")).toBe(
    "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE",
  );
  expect(idOf("AA:BB", "7F01")).toBe("qrs.fwE");
});

const DAY = 24 * 3_600_000;
const of = (past: number, left: number) => ({
  issuer: "x",
  from: new Date(Date.now() - past * DAY).toISOString(),
  until: new Date(Date.now() + left * DAY).toISOString(),
});

test.each([
  [of(59, 31), null, false],
  [of(61, 29), null, true],
  // The CA wants it later than at a third, but not in the last days.
  [of(61, 29), DAY, false],
  [of(76, 14), DAY, true],
  // It wants it now, because it revokes it.
  [of(1, 89), -DAY, true],
  [null, DAY, true],
])("%# a certificate is due, or not", (certificate, wanted, isWanted) => {
  expect(isDue(certificate, wanted === null ? null : Date.now() + wanted)).toBe(isWanted);
});
