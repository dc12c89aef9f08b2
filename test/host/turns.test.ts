// Of many tasks only so many are under way, each gets its turn, and one that fails keeps no place.
import { expect, test } from "bun:test";
import { turns } from "../../lib/host/turns.ts";

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
