// Foreign text: nothing in it reaches the terminal but characters.
import { expect, test } from "bun:test";
import { plainText, quoted } from "../../lib/text/text.ts";

test.each([
  ["plain\ttext ä 日本 🎉", "plain\ttext ä 日本 🎉"],
  ["\x1b[1;31mred\x1b[0m", "red"],
  ["\x9b31mred", "red"],
  ["\x1b]0;title\x07after", "after"],
  ["\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"],
  ["\x1bPq#0\x1b\\after", "after"],
  ["\x1b(Bx\x1b7y\x1bcz", "xyz"],
  ["a\x00b\x07c\x08d\x7fe\x80f", "abcdef"],
  ["a\u2028b\u2029c\x85d\ve", "a b c d e"],
  ["pass\u200bword\u00ad\ufeff\u{e0041}", "password"],
  ["\x9d0;title\x9cafter", "after"],
  ["\u202eevil\u2066", "evil"],
  ["\x1b]unfinished", "unfinished"],
  ["10%\r20%\r100%", "100%"],
  ["windows\r", "windows"],
  ["\r", ""],
  ["half \ud800", "half "],
])("%j is shown as %j", (line, shown) => expect(plainText(line)).toBe(shown));

test.each(["\x1b]", "\x1b[", "\x1bP", "\x1b", "\x9b1"])("a megabyte of %j takes no time", (part) => {
  const line = part.repeat(1_000_000 / part.length);
  const before = performance.now();
  plainText(line);
  expect(performance.now() - before).toBeLessThan(3000);
});

test.each([
  ["x", '"x"'],
  ['a"b\\', '"a\\"b\\\\"'],
  ["\x1b[31m", '"\\u001b[31m"'],
  ["\x9b\u202e", '"\\u{9b}\\u{202e}"'],
  ["x".repeat(100), `"${"x".repeat(60)}…"`],
])("%j is quoted as %s", (text, shown) => expect(quoted(text)).toBe(shown));
