// Files that are whole or not there, whoever is killed meanwhile.
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import {
  overwrite,
  ownText,
  readText,
  removeFile,
  removeStaleTemps,
  syncFolder,
  writeFileAtomic,
} from "../../lib/host/files.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "dp-files-"));
});
afterEach(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);

test.each([0o600, 0o640, 0o755])("a file gets mode %o, whatever the umask and the old mode", async (mode) => {
  writeFileSync(at("file"), "old", { mode: 0o444 });
  const umask = process.umask(0o077);
  try {
    await writeFileAtomic(at("file"), "new", mode);
  } finally {
    process.umask(umask);
  }
  expect(lstatSync(at("file")).mode & 0o7777).toBe(mode);
  expect(readFileSync(at("file"), "utf8")).toBe("new");
  expect(readdirSync(folder)).toEqual(["file"]);
});

test("a file that cannot be replaced leaves no temp file", async () => {
  mkdirSync(at("folder"));
  writeFileSync(at("folder/file"), "kept");
  await expect(writeFileAtomic(at("folder"), "new")).rejects.toThrow("EISDIR");
  await writeFileAtomic(at("other"), "new");
  expect(readdirSync(folder).toSorted()).toEqual(["folder", "other"]);
});

test("a link in place of the file is replaced, not followed", async () => {
  writeFileSync(at("elsewhere"), "untouched");
  symlinkSync("elsewhere", at("file"));
  await writeFileAtomic(at("file"), "new");
  expect(readFileSync(at("elsewhere"), "utf8")).toBe("untouched");
  expect(lstatSync(at("file")).isFile()).toBe(true);
});

test.each([
  ["longer", '{ "what": "was here before" }\n'],
  ["as long", '{ "what": "u" }\n'],
])("a record that was %s is written over in its place, and can be read", (_, before) => {
  writeFileSync(at("record"), before, { mode: 0o600 });
  const { ino } = lstatSync(at("record"));
  expect(overwrite(at("record"), `{ "what": "ü" }`)).toBe(true);
  expect(JSON.parse(readFileSync(at("record"), "utf8"))).toEqual({ what: "ü" });
  expect([lstatSync(at("record")).ino, readdirSync(folder)]).toEqual([ino, ["record"]]);
});

test("what is not there, or is no file of its own, is not written over", () => {
  writeFileSync(at("elsewhere"), "untouched");
  symlinkSync("elsewhere", at("link"));
  mkdirSync(at("folder"));
  for (const name of ["nothing", "link", "folder"]) expect([name, overwrite(at(name), "new")]).toEqual([name, false]);
  expect(readFileSync(at("elsewhere"), "utf8")).toBe("untouched");
  expect(readdirSync(folder).toSorted()).toEqual(["elsewhere", "folder", "link"]);
});

test("a record that others may read, that has another name, or that is too short is not written over", () => {
  writeFileSync(at("open"), "untouched", { mode: 0o644 });
  writeFileSync(at("short"), "un", { mode: 0o600 });
  writeFileSync(at("one"), "untouched", { mode: 0o600 });
  linkSync(at("one"), at("other"));
  for (const name of ["open", "short", "other"]) expect([name, overwrite(at(name), "new")]).toEqual([name, false]);
  expect(["open", "short", "one"].map((name) => readFileSync(at(name), "utf8"))).toEqual([
    "untouched",
    "un",
    "untouched",
  ]);
  expect(overwrite("/dev/full", "new")).toBe(false);
});

test("a link in place of the temp file is not followed either", async () => {
  writeFileSync(at("elsewhere"), "untouched");
  for (let count = 0; count < 100; count++) symlinkSync("elsewhere", at(`file.tmp.${count}.${process.pid}`));
  await writeFileAtomic(at("file"), "new");
  expect(readFileSync(at("elsewhere"), "utf8")).toBe("untouched");
  expect(lstatSync(at("file")).isFile()).toBe(true);
});

test("a folder that is not there is an error, and leaves nothing", async () => {
  await expect(writeFileAtomic(at("missing/file"), "x")).rejects.toThrow("ENOENT");
  await expect(syncFolder(at("missing"))).rejects.toThrow("ENOENT");
  expect(readdirSync(folder)).toEqual([]);
});

test("temp files of writers that are gone go, and nothing else", async () => {
  const gone = Bun.spawn(["true"]);
  await gone.exited;
  const stays = ["file", "file.tmp", "file.tmp.x", `file.tmp.3.${process.pid}`, `file.tmp.${gone.pid}.old`, "a.tmp.-1"];
  for (const name of [...stays, `file.tmp.${gone.pid}`, `file.tmp.3.${gone.pid}`, `.hidden.tmp.${gone.pid}`])
    writeFileSync(at(name), "");
  symlinkSync("file", at(`link.tmp.${gone.pid}`));
  await removeStaleTemps(folder);
  expect(readdirSync(folder).sort()).toEqual(stays.sort());
});

const WRITER = `
  const { writeFileAtomic } = await import(${JSON.stringify(resolve("lib/host/files.ts"))});
  for (let turn = 0; ; turn++) {
    await writeFileAtomic(process.argv[1], String(turn % 10).repeat(200000));
    if (turn === 1) console.log("writing");
  }
`;

test("a reader sees a whole text, also after the writer was killed in the middle", async () => {
  for (let round = 0; round < 4; round++) {
    const writer = Bun.spawn([process.execPath, "-e", WRITER, at("file")], { stdout: "pipe", env: {} });
    await writer.stdout.getReader().read();
    const seen = new Set<string>();
    while (seen.size < 5) seen.add(readFileSync(at("file"), "utf8"));
    writer.kill("SIGKILL");
    await writer.exited;
    seen.add(readFileSync(at("file"), "utf8"));
    for (const text of seen) expect(text).toBe(text.charAt(0).repeat(200000));
  }
}, 60_000);

test("reading what is not there is null, and removing it false", async () => {
  writeFileSync(at("file"), "text");
  expect(await readText(at("file"))).toBe("text");
  expect(await readText(at("missing"))).toBeNull();
  expect(await readText(at("file/below"))).toBeNull();
  await expect(readText(folder)).rejects.toThrow();
  expect(ownText(at("file"))).toBe("text");
  expect(ownText(at("missing"))).toBeNull();
  expect(ownText(at("file/below"))).toBeNull();
  expect(() => ownText(folder)).toThrow();
  expect(await removeFile(at("file"))).toBe(true);
  expect(await removeFile(at("file"))).toBe(false);
  await expect(removeFile(folder)).rejects.toThrow();
});

test("removing a link leaves what it points at", async () => {
  writeFileSync(at("file"), "text");
  symlinkSync("file", at("link"));
  expect(readlinkSync(at("link"))).toBe("file");
  await removeFile(at("link"));
  expect(readdirSync(folder)).toEqual(["file"]);
});

test("a text is read whole, whatever its length, and one of the kernel's, which has none, too", async () => {
  const sizes = [0, 1, 65_535, 65_536, 65_537, 200_000];
  const texts = sizes.map((size) => "ä".repeat(size / 2) + "x".repeat(size % 2));
  for (const [at_, text] of texts.entries()) writeFileSync(at(`file-${at_}`), text);
  const read = await Promise.all(texts.map((_, at_) => readText(at(`file-${at_}`))));
  expect(read.map((text, at_) => text === texts[at_])).toEqual(texts.map(() => true));
  expect(texts.map((_, at_) => ownText(at(`file-${at_}`)))).toEqual(texts);
  expect(await readText("/proc/self/status")).toContain(`Pid:\t${process.pid}\n`);
});
