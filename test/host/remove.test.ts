// Removal of trees that an app has had its hands in.
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeIo, silentLog } from "../../lib/host/io.ts";
import { removeTree } from "../../lib/host/remove.ts";
import { idsOf } from "../../lib/host/users.ts";

const io = makeIo(silentLog);
const asRoot = process.getuid!() === 0;
let base: string;
let tree: string;
let outside: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "dp-remove-"));
  chmodSync(base, 0o755);
  [tree, outside] = [join(base, "tree"), join(base, "outside")];
  mkdirSync(join(tree, "a/b"), { recursive: true });
  mkdirSync(outside);
  writeFileSync(join(outside, "kept"), "");
});
afterEach(() => rmSync(base, { recursive: true }));

test("all of it goes: closed folders, hidden files, odd names, links without what they point at", async () => {
  for (const name of [".hidden", "-rf", "a b\n", "*"]) writeFileSync(join(tree, name), "");
  symlinkSync(outside, join(tree, "a/link"));
  symlinkSync(join(outside, "kept"), join(tree, "file-link"));
  writeFileSync(join(tree, "a/b/c"), "", { mode: 0 });
  for (const folder of ["a/b", "a"]) chmodSync(join(tree, folder), 0);
  await removeTree(tree, undefined, io);
  expect(existsSync(tree)).toBe(false);
  expect(readdirSync(outside)).toEqual(["kept"]);
  await removeTree(tree, undefined, io);
});

test("a link or a file in place of the tree is refused", async () => {
  symlinkSync(outside, join(base, "link"));
  await expect(removeTree(join(base, "link"), undefined, io)).rejects.toThrow("is not a folder");
  await expect(removeTree(join(outside, "kept"), undefined, io)).rejects.toThrow("is not a folder");
  expect(readdirSync(outside)).toEqual(["kept"]);
});

test.skipIf(!asRoot)("as root all of it goes, whoever it belongs to, and no link is followed", async () => {
  const ids = await idsOf("daemon");
  for (const path of [tree, join(tree, "a")]) chownSync(path, ...ids);
  writeFileSync(join(tree, "a/of-root"), "", { mode: 0 });
  symlinkSync(outside, join(tree, "a/link"));
  await removeTree(tree, "daemon", io);
  expect(existsSync(tree)).toBe(false);
  expect(readdirSync(outside)).toEqual(["kept"]);
});
