// Of many tasks only so many are under way, each gets its turn, and one that fails keeps no place.
import { expect, test } from "bun:test";
import { allInParts, settleAll, turns } from "../../lib/host/turns.ts";

test("as many as allowed are under way, and the others begin in their order", async () => {
  const inTurn = turns(2);
  const begun: number[] = [];
  const ends = Array.from({ length: 5 }, () => Promise.withResolvers<void>());
  const done = ends.map(({ promise }, at) =>
    inTurn(async () => {
      begun.push(at);
      await promise;
      return at;
    }),
  );
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  await turn();
  expect(begun).toEqual([0, 1]);
  ends[1]!.resolve();
  await turn();
  expect(begun).toEqual([0, 1, 2]);
  ends[0]!.reject(new Error("no"));
  expect(done[0]).rejects.toThrow("no");
  await turn();
  expect(begun).toEqual([0, 1, 2, 3]);
  for (const { resolve } of ends.slice(2)) resolve();
  expect(await Promise.all(done.slice(1))).toEqual([1, 2, 3, 4]);
  expect(await inTurn(async () => "later")).toBe("later");
});

test("of hundreds the first ones go on before the last ones have begun, and each is told how it ended", async () => {
  const seen: string[] = [];
  const ends = await settleAll(
    Array.from({ length: 100 }, (_, at) => at),
    async (at) => {
      seen.push(`${at} has begun`);
      await new Promise((resolve) => setImmediate(resolve));
      seen.push(`${at} goes on`);
      if (at % 2 === 1) throw new Error(`${at} fails`);
      return at;
    },
  );
  expect(seen.indexOf("0 goes on")).toBeLessThan(seen.indexOf("99 has begun"));
  expect(ends.map((end) => (end.status === "fulfilled" ? end.value : (end.reason as Error).message))).toEqual(
    ends.map((_, at) => (at % 2 === 1 ? `${at} fails` : at)),
  );
  expect(ends.length).toBe(100);
  expect(await settleAll([], async () => "never")).toEqual([]);
  expect(await allInParts([1, 2], async (at) => at * 2)).toEqual([2, 4]);
  await expect(allInParts([1, 2], (at) => Promise.reject(new Error(`${at} fails`)))).rejects.toThrow("1 fails");
});
