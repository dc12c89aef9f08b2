// Mistakes that people make in YAML, and what they read of them.
import { expect, test } from "bun:test";
import { wordsOf } from "../../lib/config/yaml-words.ts";
import { problemLines, readYaml } from "../../lib/config/yaml.ts";

test.each([
  ['a: "x\nb: 1\n', 'a text above begins with " and has to end with one'],
  ["a: 'it's'\n", "1:8 something follows the end of the value: quotes go around the whole of it"],
  ["a: 'x\n", "a text above begins with ' and has to end with one; inside of it ' is written ''"],
  ['command: "python" -m app\n', "1:19 something follows the end of the value: quotes go around the whole of it"],
  ["name: shop\nbuild\n", '2:1 write "key: value"; a line that goes on with a text needs a deeper indent'],
  ["files: [a, b\nname: x\n", '2:1 the "[" before this is not closed, "]" is missing'],
  ["headers: {a: b\nname: x\n", '2:1 the "{" before this is not closed, "}" is missing'],
  ["files: [a]]\n", '1:11 a closing "]" or "}" too many; a text that begins with one needs quotes around it'],
  ["files: [a, , b]\n", "1:12 a comma too many"],
  ["hooks:\n  a: 1\n b: 2\n", "3:1 the keys of one mapping need the same indent"],
  [
    "name: a\n  type: b\n",
    '1:7 a value with ": " in it needs quotes around it, and lines of one mapping the same indent',
  ],
  [
    "build: echo a: b\n",
    '1:8 a value with ": " in it needs quotes around it, and lines of one mapping the same indent',
  ],
  ["files: - a\n", '1:8 a list begins on the next line: write "- " below the key'],
  ["name: a\n- b\n", '2:1 a list ("- ") belongs below a key that has no value, and a key on one line'],
  ["a: @x\n", "1:4 a value that begins with this character needs quotes around it"],
  ["a: *\n", "1:4 a value that begins with * or & needs quotes around it"],
  ['a: "\\d"\n', "1:5 in \"quotes\" a \\ is written twice, in 'quotes' once"],
  ['a: "x"#y\n', "1:7 a space is missing before the #"],
  ["a: |x\n", '1:5 after "|" or ">" the text begins on the next line'],
  ["a:\n\tb: 1\n", "2:1 indent with spaces, not with a tab"],
  ["a: 1\n---\nb: 1\n", 'only one document is read, remove what follows the line "---"'],
])("%j", (text, expected) => {
  const yaml = readYaml(text);
  expect(yaml.isBroken).toBe(true);
  expect(problemLines("deploy.yml", yaml, yaml.problems)[0]).toContain(expected);
});

test("an error that has no better words is told in the parser's own", () => {
  expect(wordsOf({ code: "KEY_OVER_1024_CHARS", message: "a key is too long" })).toBe("a key is too long");
  expect(wordsOf({ code: "MISSING_CHAR", message: "something new" })).toBe("something new");
});
