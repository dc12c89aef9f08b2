import { expect, test } from "bun:test";
import { inShares, type Task } from "../../lib/host/shares.ts";

const names = Array.from({ length: 300 }, (_, at) => `n${at}`);

test("what another process does not answer is done here, and the order stays", async () => {
  const asked: string[] = [];
  const task: Task<string> = (some) => {
    asked.push(...some);
    return Promise.allSettled(
      some.map(async (name) => {
        if (name === "n7") throw new Error("ill");
        return `${name}!`;
      }),
    );
  };
  const rows = await inShares(names, "lib/no-such-program.ts", task);
  expect(asked.toSorted()).toEqual(names.toSorted());
  expect(rows.map((row) => (row.status === "fulfilled" ? row.value : String(row.reason)))).toEqual(
    names.map((name) => (name === "n7" ? "Error: ill" : `${name}!`)),
  );
});
