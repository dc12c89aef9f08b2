// What is asked of systemd at the same time is asked at once, and nobody gets an answer that is older than the question.
import { expect, test } from "bun:test";
import { together } from "../../lib/host/together.ts";

/** A question whose answers are given one by one, by hand. */
function slowly() {
  const asked: { names: readonly string[]; answer(): void; fail(): void }[] = [];
  const ask = together<string>((names) => {
    const { promise, resolve, reject } = Promise.withResolvers<ReadonlyMap<string, string>>();
    const number = asked.length;
    asked.push({
      names,
      answer: () => resolve(new Map(names.map((name) => [name, `${name} ${number}`]))),
      fail: () => reject(new Error("no systemd")),
    });
    return promise;
  });
  return { asked, ask };
}
const turn = () => new Promise((resolve) => setImmediate(resolve));

test("what is asked in one turn is one question, and each gets its own answer", async () => {
  const { asked, ask } = slowly();
  const answers = Promise.all(["a", "b", "a"].map(ask));
  await turn();
  expect(asked.map(({ names }) => names)).toEqual([["a", "b"]]);
  asked[0]!.answer();
  expect(await answers).toEqual(["a 0", "b 0", "a 0"]);
});

test("what is asked meanwhile waits for the next question, the same thing once more, too", async () => {
  const { asked, ask } = slowly();
  const first = ask("a");
  await turn();
  const later = Promise.all([ask("a"), ask("b")]);
  asked[0]!.answer();
  expect(await first).toBe("a 0");
  await turn();
  expect(asked.map(({ names }) => names)).toEqual([["a"], ["a", "b"]]);
  asked[1]!.answer();
  expect(await later).toEqual(["a 1", "b 1"]);
  const alone = ask("c");
  await turn();
  asked[2]!.answer();
  expect(await alone).toBe("c 2");
});

test("a failure is that of all who asked, and of nobody after them", async () => {
  const { asked, ask } = slowly();
  const failed = Promise.allSettled([ask("a"), ask("b")]);
  await turn();
  const later = ask("a");
  asked[0]!.fail();
  expect((await failed).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  await turn();
  asked[1]!.answer();
  expect(await later).toBe("a 1");
});

test("hundreds are asked about in parts", async () => {
  const parts: number[] = [];
  const ask = together(async (names) => (parts.push(names.length), new Map(names.map((name) => [name, name]))));
  const names = Array.from({ length: 1_200 }, (_, index) => `app-${index}`);
  expect(await Promise.all(names.map(ask))).toEqual(names);
  expect(parts).toEqual([500, 500, 200]);
});
