// What files take of a disk: theirs alone, whoever else writes there.
import { afterAll, expect, test } from "bun:test";
import { linkSync, lstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { roomOf } from "../../lib/host/disk.ts";
import { makeIo, silentLog } from "../../lib/host/io.ts";

const folder = mkdtempSync(join(tmpdir(), "dp-disk-"));
afterAll(() => rmSync(folder, { recursive: true }));
const io = makeIo(silentLog);
const MB = 1024 ** 2;

test("files and folders, an inode once, links not followed", async () => {
  const [one, two] = [join(folder, "one"), join(folder, "-two")];
  for (const each of [one, two]) mkdirSync(each);
  writeFileSync(join(one, "file"), Buffer.alloc(4 * MB));
  linkSync(join(one, "file"), join(one, "same"));
  writeFileSync(join(two, "file"), Buffer.alloc(2 * MB));
  symlinkSync("/usr", join(two, "link"));
  writeFileSync(join(folder, "other"), Buffer.alloc(8 * MB));
  const room = await roomOf([one, two, two], 60_000, io);
  expect([Math.floor(room!.bytes / MB), room!.files]).toEqual([6, 5]);
});

test("many files, which a program counts, come to the same", async () => {
  const many = join(folder, "many");
  mkdirSync(many);
  for (let number = 0; number < 400; number++) writeFileSync(join(many, `${number}`), "x".repeat(number));
  const folderThen = lstatSync(many).blocks * 512;
  const few = await roomOf([many], 60_000, io);
  expect(few?.files).toBe(401);
  for (let number = 400; number < 1_200; number++) linkSync(join(many, "0"), join(many, `${number}`));
  const more = await roomOf([many], 60_000, io);
  const grown = lstatSync(many).blocks * 512;
  expect(more).toEqual({ bytes: few!.bytes - folderThen + grown, files: 401 });
});

test("what is not there, or takes too long to be read, is not known", async () => {
  expect(await roomOf([join(folder, "nowhere")], 60_000, io)).toBeNull();
  expect(await roomOf(["/usr"], 1, io)).toBeNull();
});
