// Templates: every name gets its value once, and a quoted word reaches a shell as it is.
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { render, schemaUrl, shellQuote, template } from "../../lib/host/template.ts";

test("names are replaced, and values are not looked at again", () => {
  expect(render("{{a}} {{b}} {{a}} {c} {{ d }}", { a: "{{b}}", b: "$& $1" })).toBe("{{b}} $& $1 {{b}} {c} {{ d }}");
});

test("a name without value, and a value without name, are bugs", () => {
  expect(() => render("{{a}}", {})).toThrow("no value for {{a}}");
  expect(() => render("{{toString}}", {})).toThrow("no value for {{toString}}");
  expect(() => render("x", { a: "1", b: "2" })).toThrow("nothing uses a, b");
});

test.each(["", "a b", "it's", "''", '$(id) `id` $HOME \\ " ! * ; & | > #', "-n", "two\nlines", "ä"])(
  "%j is one word for sh",
  (text) => {
    const sh = Bun.spawnSync(["sh", "-c", `printf '[%s]' ${shellQuote(text)}`], { cwd: "/" });
    expect(sh.stdout.toString()).toBe(`[${text}]`);
  },
);

test("a NUL cannot be quoted", () => {
  expect(() => shellQuote("a\0b")).toThrow();
});

test("templates are found, and schemas by their address", async () => {
  expect(await template("config.yml")).toStartWith("# yaml-language-server: $schema={{schema}}\n");
  // It is committed, and has no address of this machine.
  expect(await template("deploy.yml")).not.toContain("{{schema}}");
  expect(existsSync(fileURLToPath(schemaUrl("config.schema.json")))).toBe(true);
});
