// The links of a base: never missing, never half, and nothing but links replaced.
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DpError } from "../../lib/errors.ts";
import { point, target } from "../../lib/host/link.ts";

let base: string;
let link: string;
let [one, two] = ["", ""];
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "dp-link-"));
  link = join(base, "current");
  [one, two] = [join(base, "releases/1-aaaaaaa"), join(base, "releases/2-bbbbbbb")];
  for (const folder of [one, two]) mkdirSync(folder, { recursive: true });
});
afterEach(() => rmSync(base, { recursive: true }));

test("a link is relative, straight to the release, and nothing lies beside it", async () => {
  await point(link, one);
  expect(readlinkSync(link)).toBe("releases/1-aaaaaaa");
  expect(await target(link)).toBe(one);
  await point(link, two);
  await point(link, two);
  expect(readlinkSync(link)).toBe("releases/2-bbbbbbb");
  expect(readdirSync(base).sort()).toEqual(["current", "releases"]);
});

test("no link is null, and null removes the link", async () => {
  expect(await target(link)).toBeNull();
  await point(link, null);
  await point(link, one);
  await point(link, null);
  await point(link, null);
  expect(await target(link)).toBeNull();
  expect(readdirSync(base)).toEqual(["releases"]);
});

test("a link made by hand may be absolute: its target is where it leads, and so is a copy of it", async () => {
  symlinkSync(one, link);
  expect(await target(link)).toBe(one);
  await point(join(base, "previous"), await target(link));
  expect(readlinkSync(join(base, "previous"))).toBe("releases/1-aaaaaaa");
});

test("a link whose release is gone is read and replaced", async () => {
  symlinkSync("releases/0-gone", link);
  expect(await target(link)).toBe(join(base, "releases/0-gone"));
  await point(link, one);
  expect(await target(link)).toBe(one);
});

test.each([
  ["a folder", (path: string) => mkdirSync(join(path, "kept"), { recursive: true })],
  ["a file", (path: string) => writeFileSync(path, "kept")],
])("%s in place of the link is refused and stays", async (_, make) => {
  make(link);
  const before = lstatSync(link).ino;
  for (const act of [() => target(link), () => point(link, one), () => point(link, null)]) {
    const error = await act().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DpError);
    expect((error as DpError).exit).toBe("host");
    expect((error as DpError).hint).toContain(`mv ${link}`);
  }
  expect(lstatSync(link).ino).toBe(before);
});

test("what a killed run left beside the link is never published", async () => {
  await point(link, one);
  symlinkSync("/etc", join(base, `.current.tmp.${process.pid}`));
  await point(link, two);
  expect(await target(link)).toBe(two);
  expect(readdirSync(base).sort()).toEqual(["current", "releases"]);
});

const READER = `
  const { readlinkSync } = require("node:fs");
  let missing = 0, changes = 0, last = "";
  process.stdout.write("ready\\n");
  for (let reads = 0; reads < 10000 || changes < 100; reads++) {
    let now;
    try { now = readlinkSync(process.argv[1]); } catch (error) { missing++; continue; }
    if (now !== "releases/1-aaaaaaa" && now !== "releases/2-bbbbbbb") missing++;
    if (now !== last) changes++;
    last = now;
  }
  process.stdout.write(JSON.stringify({ missing }));
`;

test("10,000 reads during swaps: the link is always there, and always whole", async () => {
  await point(link, one);
  const reader = Bun.spawn([process.execPath, "-e", READER, link], { stdout: "pipe", env: {} });
  let isOver = false;
  const said = new Response(reader.stdout).text().finally(() => (isOver = true));
  for (let swaps = 0; !isOver; swaps++) await point(link, swaps % 2 ? one : two);
  expect(await said).toBe('ready\n{"missing":0}');
});
