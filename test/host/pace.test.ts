// The more looks are waited between, the more seldom each of them.
import { expect, test } from "bun:test";
import { makeIo, silentLog } from "../../lib/host/io.ts";
import { pace } from "../../lib/host/pace.ts";

test("who waits alone waits as long as asked, several wait longer, and one that is stopped counts no more", async () => {
  const slept: number[] = [];
  const ends: (() => void)[] = [];
  const sleep = (ms: number) => (slept.push(ms), new Promise<void>((resolve) => ends.push(resolve)));
  const [first, second] = [pace(2, { sleep }), pace(3, { sleep })];
  expect(slept).toEqual([2, 6]);
  ends[0]!();
  await first;
  const stopped = new AbortController();
  const third = pace(10_000, makeIo(silentLog, stopped.signal));
  stopped.abort(new Error("stopped"));
  expect(third).rejects.toThrow("stopped");
  await third.catch(() => undefined);
  ends[1]!();
  await second;
  const many = Array.from({ length: 100 }, () => pace(5, { sleep }));
  expect(Math.max(...slept.splice(2))).toBe(250);
  for (const end of ends.splice(2)) end();
  await Promise.all(many);
  const last = pace(5, { sleep });
  expect(slept).toEqual([2, 6, 5]);
  ends[2]!();
  await last;
});
