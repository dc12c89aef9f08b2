// An answer that does not change ends the waiting; an app that boots is given its time.
import { expect, test } from "bun:test";
import { watchSteady, type Verdict } from "../../lib/health/steady.ts";

/** The verdicts over statuses that come each half second. */
function verdicts(statuses: readonly (number | null)[]): Verdict[] {
  const judge = watchSteady();
  return statuses.map((status, at) => judge({ isHealthy: false, status, text: "" }, at * 500));
}
const times = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);

test.each([301, 302, 400, 401, 403, 404, 429])(
  "a steady %d is told after a second, and the end after five",
  (status) => {
    const seen = verdicts(times(11, status));
    expect(seen.indexOf("tell")).toBe(2);
    expect(seen.filter((verdict) => verdict === "tell").length).toBe(1);
    expect(seen.indexOf("end")).toBe(10);
  },
);

test("a steady 500 is told, and waited on for ever", () => {
  const seen = verdicts(times(200, 500));
  expect(seen.filter((verdict) => verdict !== "wait")).toEqual(["tell"]);
});

test.each([null, 502, 503, 504])("a steady %p is waited on for ever", (status) => {
  expect(new Set(verdicts(times(200, status)))).toEqual(new Set(["wait"]));
});

test("a boot that changes its answer begins anew each time", () => {
  expect(verdicts([...times(9, 404), ...times(9, 503), ...times(9, 404)])).not.toContain("end");
  expect(verdicts([null, null, 404, null, 404, 404])).not.toContain("end");
});

test("few answers are not enough, however long they took", () => {
  const judge = watchSteady();
  const answer = { isHealthy: false, status: 404, text: "404" };
  expect([judge(answer, 0), judge(answer, 60_000)]).toEqual(["wait", "tell"]);
});
