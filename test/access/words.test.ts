// The line that somebody with a key typed: the words are those of a shell, or it is refused.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { wordsOf } from "../../lib/access/words.ts";
import { random, seedOf } from "../faults/seed.ts";

test.each([
  ["logs shop -f", ["logs", "shop", "-f"]],
  [" logs\t shop ", ["logs", "shop"]],
  ["git-receive-pack '/shop.git'", ["git-receive-pack", "/shop.git"]],
  ["'logs' 'shop' '-f'", ["logs", "shop", "-f"]],
  [String.raw`env shop set 'A=it'\''s "x" $HOME *'`, ["env", "shop", "set", `A=it's "x" $HOME *`]],
  ["run shop -- echo ''", ["run", "shop", "--", "echo", ""]],
  [String.raw`a\ b \; \'`, ["a b", ";", "'"]],
  ["deploy shop HEAD~1", ["deploy", "shop", "HEAD~1"]],
  ["größe 'naïve ✓' ✓", ["größe", "naïve ✓", "✓"]],
  ["set 'two\nlines'", ["set", "two\nlines"]],
  ["", []],
  [" \t ", []],
])("%j", (line, words) => {
  expect(wordsOf(line)).toEqual(words);
});

describe("what means something to a shell is refused", () => {
  test.each([
    ...'|&;<>()$`"*?[]{}#!\r\v\f\x01\x7f'.split("").map((character) => `logs shop${character}x`),
    ...["logs shop; id", "logs shop && id", "logs shop\nid", "logs $(id)", "logs `id`", "~/x", "A=~/x", "a:~b"],
    ...["logs 'shop", "logs shop\\", "logs shop\\\nx", "a\0b", "a\ufffdb"],
  ])("%j", (line) => {
    expect(() => wordsOf(line)).toThrow(expect.objectContaining({ exit: "usage" }));
  });

  test("and so is what is longer than 64 KiB", () => {
    expect(wordsOf(`'${"x".repeat(65_534)}'`)[0]).toHaveLength(65_534);
    expect(() => wordsOf("x".repeat(65_537))).toThrow("64 KiB");
    expect(() => wordsOf("é".repeat(40_000))).toThrow("64 KiB");
  });
});

describe("10,000 lines by chance", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "dp-words-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const PIECES = [
    ..."abz019_./:=@,+%^~-".split(""),
    ...[
      " ",
      " ",
      "\t",
      "'",
      "'",
      "\\",
      "''",
      "' '",
      "\\'",
      "\\\\",
      "--",
      "é",
      "✓",
      "A=",
      "'\n'",
      "touch x",
      "$(touch x)",
    ],
    ...['"', "$", "`", ";", "&", "|", "<", ">", "(", ")", "*", "?", "[", "]", "{", "}", "#", "!", "\n", "\r", "\x7f"],
  ];

  /** A line that is words most of the time, and anything at all now and then. */
  function lineBy(next: () => number): string {
    const odd = next() < 0.3 ? PIECES.length : PIECES.length - 21;
    return Array.from({ length: Math.floor(next() * 14) }, () => PIECES[Math.floor(next() * odd)]).join("");
  }

  test("give words only when a shell gives the same, and nothing is ever executed", () => {
    const next = random(seedOf("words"));
    const taken: { line: string; words: string[] }[] = [];
    for (let count = 0; count < 10_000; count++) {
      const line = lineBy(next);
      try {
        taken.push({ line, words: wordsOf(line) });
      } catch (error) {
        expect(error).toMatchObject({ exit: "usage" });
      }
    }
    expect(taken.length).toBeGreaterThan(1_000);
    // Only what was taken meets a shell, whose PATH leads nowhere: a word that is run would leave something behind.
    const script = taken.map(({ line }) => `printf '%s\\0' x ${line}\nprintf '\\001\\n\\0'\n`).join("");
    const options = { cwd: folder, env: { PATH: "/nowhere", LC_ALL: "C.UTF-8" } };
    const shell = Bun.spawnSync(["/bin/sh"], { ...options, stdin: Buffer.from(script) });
    expect(shell.stderr.toString()).toBe("");
    const answers = shell.stdout.toString().split("\0\x01\n\0");
    for (const [at, { line, words }] of taken.entries())
      expect([line, answers[at]!.split("\0").slice(1)]).toEqual([line, words]);
    expect(readdirSync(folder)).toEqual([]);
  });
});
