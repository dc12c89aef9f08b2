import { describe, expect, test } from "bun:test";
import { parseEnv } from "../../lib/config/env.ts";
import { editEnv, type EnvChange } from "../../lib/config/env-edit.ts";

const edit = (text: string, change: EnvChange) => editEnv(text, change, ".env");

describe("editEnv", () => {
  test.each<[string, EnvChange, string]>([
    ["", { A: "1" }, "A=1\n"],
    ["A=1\n", { A: "2" }, "A=2\n"],
    ["A=1", { B: "2" }, "A=1\nB=2\n"],
    ["# why\nA=1 # note\nB=2\n", { A: "3" }, "# why\nA=3 # note\nB=2\n"],
    ["export A='old' # note\n", { A: "a b" }, "export A='a b' # note\n"],
    ['A="two\nlines"\nB=1\n', { A: "x" }, "A=x\nB=1\n"],
    ["A=1\n\n# about B\nB=2\nC=3\n", { B: null }, "A=1\n\n# about B\nC=3\n"],
    ["A=\n", { A: "x" }, "A=x\n"],
    ["A=# none\n", { A: "x" }, "A=x # none\n"],
    ["A=1\n", { A: "1" }, "A=1\n"],
    ["A=1\n", { B: null }, "A=1\n"],
    ["A=1\nB=2", { B: "3" }, "A=1\nB=3"],
    ["A=1\r\nB=2\r\n", { A: "3" }, "A=3\nB=2\n"],
    ["  A=1\n", { A: "x", C: "4", B: null }, "  A=x\nC=4\n"],
  ])("%j with %j is %j", (text, change, expected) => expect(edit(text, change)).toBe(expected));

  const VALUES = [
    "",
    " spaces ",
    "$HOME ${X} $(id) `id`",
    `"double" 'single' \\ back\\n`,
    "a\nb\n",
    "grüße 🚀",
    "a=b=c",
    "# no",
  ];
  test.each(VALUES)("the value %j is read back, first and as a replacement", (value) => {
    for (const text of ["", "A=before # note\n", "A='before' # note\n", "A=# note\n"]) {
      const after = edit(`${text}Z=last\n`, { A: value });
      expect(parseEnv(after, ".env")).toEqual({ A: value, Z: "last" });
      if (text !== "") expect(after).toContain("# note");
    }
  });

  test.each<[EnvChange, string]>([
    [{ PORT: "1" }, "PORT"],
    [{ DP_APP: "x" }, "DP_APP"],
    [{ "a b": "x" }, "a b"],
    [{ A: "\x00" }, "control character"],
  ])("%j is refused", (change, words) => expect(() => edit("", change)).toThrow(words));

  test("a text that cannot be read is not edited", () => {
    expect(() => edit("A = 1\n", { B: "2" })).toThrow(".env: 1 problem");
  });
});
