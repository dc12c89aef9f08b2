// The .env dialect: what each line means, that both writers keep every value, and what is hidden in logs.
import { describe, expect, test } from "bun:test";
import { DpError } from "../../lib/errors.ts";
import { formatEnv, parseEnv } from "../../lib/config/env.ts";
import { systemdEnv } from "../../lib/host/systemd/environment-file.ts";
import { redactor } from "../../lib/deploy/log/redactor.ts";

function problems(text: string): readonly string[] {
  try {
    parseEnv(text, ".env");
  } catch (error) {
    if (error instanceof DpError && error.exit === "config") return error.lines;
    throw error;
  }
  throw new Error("accepted");
}

describe("parseEnv", () => {
  test.each<[string, Record<string, string>]>([
    ["", {}],
    ["# c\n\n  # d\n", {}],
    ["A=1", { A: "1" }],
    ["\ufeffA=1\r\nB=2\r\n", { A: "1", B: "2" }],
    ["export A=1\n  B=2", { A: "1", B: "2" }],
    ["A=\nB= # c\nC=''", { A: "", B: "", C: "" }],
    ["A=x y z  \t", { A: "x y z" }],
    ["A=a#b # c", { A: "a#b" }],
    ['A=it\'s "so"', { A: 'it\'s "so"' }],
    ["A=$HOME ${X} `id` \\n", { A: "$HOME ${X} `id` \\n" }],
    ["A='$x \\n \"' # c", { A: '$x \\n "' }],
    ['A="\\n\\t\\r\\"\\\\\\$ $x \'" # c', { A: "\n\t\r\"\\$ $x '" }],
    ["A=\"two\nlines\"\nB='a\n\n# b'", { A: "two\nlines", B: "a\n\n# b" }],
    ['A="two\r\nlines"', { A: "two\nlines" }],
    ["A=a=b=c", { A: "a=b=c" }],
    ["__proto__=x", JSON.parse('{"__proto__":"x"}')],
    [
      "NODE_OPTIONS=--max-old-space-size=100\nHOMEPAGE=x\nENVIRONMENT=y",
      { NODE_OPTIONS: "--max-old-space-size=100", HOMEPAGE: "x", ENVIRONMENT: "y" },
    ],
  ])("%j", (text, values) => expect(parseEnv(text, ".env")).toEqual(values));

  test("every problem is told at once, with its line and without its value", () => {
    const text = `A=1
B = s3cret
C= s3cret
1D=s3cret
s3cret
E="s3cret"s3cret
A=s3cret
F="\\q"
G='
ok'
H=a\x07b
I="s3cret
`;
    const lines = problems(text);
    expect(lines).toEqual([
      ".env:2 must be NAME=value, without spaces around the =",
      ".env:3 C: has a space after the =: remove it, or put the value in quotes",
      ".env:4 the name before the = must be letters, digits and underscores, not starting with a digit",
      ".env:5 must be NAME=value, without spaces around the =",
      ".env:6 E: has text after the closing quote",
      ".env:7 A is set twice, first in line 1",
      '.env:8 F: has an unknown escape, write \\\\ for "\\"',
      ".env:11 H: has a control character",
      '.env:12 I: the quote (") is never closed',
    ]);
    expect(lines.join()).not.toContain("s3cret");
  });

  test("a pasted key does not show up in the error", () => {
    expect(problems("KEY=-----BEGIN\nMIIE+s3cret=\n").join()).not.toContain("s3cret");
  });

  test.each("PATH,PORT,HOME,USER,LOGNAME,DP_HOST,GIT_DIR,LD_PRELOAD,BASH_ENV,ENV,BUN_OPTIONS,BUN_BE_BUN".split(","))(
    "%s is refused",
    (name) => {
      expect(problems(`${name}=x`)[0]).toStartWith(`.env:1 ${name} `);
      expect(() => formatEnv({ [name]: "x" })).toThrow(DpError);
    },
  );

  test.each(["A='x\0y'", 'A="x\x1by"', "A=x\ry", "A=\x7f"])("%j has a control character", (text) => {
    expect(problems(text)).toEqual([".env:1 A: has a control character"]);
  });
});

const HOSTILE = [
  "",
  " ",
  " x ",
  "#x",
  "x #y",
  "'",
  '"',
  'it\'s "so"',
  "\\",
  "\\n",
  "a\\",
  "$HOME ${X} $(id) `id`",
  "two\nlines\n",
  "\n",
  "cr\r\nlf\r",
  "\t",
  "a=b",
  "ä 日本 🎉",
  '{"a": [1, "b"]}',
  "-----BEGIN KEY-----\nMIIE+/=\n-----END KEY-----\n",
  "!x;y&z|*?~",
];

test.each(HOSTILE)("formatEnv keeps %j", (value) => {
  const values = { FIRST: "1", VALUE: value, LAST: "2" };
  expect(parseEnv(formatEnv(values), ".env")).toEqual(values);
});

test("a few thousand random values survive formatEnv and systemdEnv", () => {
  const alphabet = ["a", " ", "'", '"', "\\", "$", "`", "\n", "#", "=", "n", "\t", "é"];
  for (let round = 0; round < 3000; round++) {
    const value = Array.from({ length: round % 9 }, () => alphabet[Math.floor(Math.random() * alphabet.length)]).join(
      "",
    );
    expect(parseEnv(formatEnv({ A: value, B: "1" }), ".env")).toEqual({ A: value, B: "1" });
    expect(readSystemd(systemdEnv({ A: value, B: "1" }))).toEqual({ A: value, B: "1" });
  }
});

test.each(HOSTILE)("systemdEnv keeps %j", (value) => {
  expect(readSystemd(systemdEnv({ A: value, PATH: "/bin" }))).toEqual({ A: value, PATH: "/bin" });
});

test("systemdEnv escapes the four characters that systemd unescapes, and nothing else", () => {
  expect(systemdEnv({ A: "\\ \" ` $ ' \n #" })).toBe('A="\\\\ \\" \\` \\$ \' \n #"\n');
});

test("systemdEnv refuses what systemd would read as something else", () => {
  expect(() => systemdEnv({ "A\nB": "x" })).toThrow();
  expect(() => systemdEnv({ A: "x\0" })).toThrow();
});

// The rules of systemd for double-quoted values: a backslash holds before the four characters, joins lines
// before a newline, and is itself anywhere else; between and around quotes white space counts for nothing.
function readSystemd(text: string): Record<string, string> {
  const values: Record<string, string> = {};
  let rest = text;
  while (rest !== "") {
    const [entry, name, raw] = /^([^=\n]+)="((?:\\[\s\S]|[^"\\])*)"\n/.exec(rest) ?? [];
    if (entry === undefined) throw new Error(`systemd would not read ${JSON.stringify(rest)}`);
    values[name!] = raw!.replace(/\\([\s\S])/g, (both, next: string) =>
      '"\\`$'.includes(next) ? next : next === "\n" ? "" : both,
    );
    rest = rest.slice(entry.length);
  }
  return values;
}

describe("redactor", () => {
  const values = {
    TOKEN: "hunter2-hunter2",
    LONGER: "hunter2-hunter2-and-more",
    KEY: "-----BEGIN KEY-----\nabcdef+/=\n",
    DATABASE_URL: "postgres://user:pa55w.rd@db/x",
    SHORT: "abc",
    NUMBER: "12345678",
    ADDRESS: "127.0.0.1",
    FLAG: "false",
    ENVIRONMENT: "production",
  };
  const redact = redactor(values);

  test.each([
    ["token hunter2-hunter2.", "token ***."],
    ["hunter2-hunter2-and-more", "***"],
    ["hunter2\x1b[0m-hunter2", "***"],
    ["x abcdef+/= y", "x *** y"],
    ["url postgres://user:pa55w.rd@db/x", "url ***"],
    ["password pa55w.rd", "password ***"],
    ["password pa55wXrd", "password pa55wXrd"],
    ["abc false production 12345678 127.0.0.1", "abc false production 12345678 127.0.0.1"],
    ["\x1b[31mred\x07", "red"],
  ])("%j becomes %j", (line, shown) => expect(redact(line)).toBe(shown));

  test("without secrets lines are still made plain", () => {
    expect(redactor({})("\x1b[31mred")).toBe("red");
  });
});
