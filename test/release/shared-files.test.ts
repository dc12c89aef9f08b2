// Files that stay: linked by the app's user, moved from the commit once, never overwritten, never followed by root.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DpError } from "../../lib/errors.ts";
import { makeIo, silentLog } from "../../lib/host/io.ts";
import { removeTree } from "../../lib/host/remove.ts";
import { asUser } from "../../lib/host/process/privilege.ts";
import { linkShared } from "../../lib/release/shared-files.ts";
import { idsOf } from "../../lib/host/users.ts";

const io = makeIo(silentLog);
const isRoot = process.getuid?.() === 0;
const user = isRoot ? "nobody" : undefined;
let top: string;
let shared: string;
let ids: [number, number];
let count = 0;

beforeAll(async () => {
  top = realpathSync(mkdtempSync(join(tmpdir(), "dp-shared-")));
  chmodSync(top, 0o755);
  ids = isRoot ? await idsOf("nobody") : [process.getuid!(), process.getgid!()];
});
afterAll(() => rmSync(top, { recursive: true, force: true }));

function folder(...parts: string[]): string {
  const path = join(top, ...parts);
  mkdirSync(path, { recursive: true });
  chownSync(path, ...ids);
  return path;
}
function file(path: string, text: string): void {
  writeFileSync(path, text);
  chownSync(path, ...ids);
}
let base: string;
beforeEach(() => {
  base = `base${++count}`;
  folder(base, "releases");
  chownSync(join(top, base), process.getuid!(), process.getgid!());
  shared = folder(base, "shared");
});

const release = (id: string) => folder(base, "releases", id);
const link = (to: string, dirs: string[], files: string[] = []) =>
  linkShared({ shared, folder: to, user, timeout: 60_000 }, { dirs, files }, io);
const refusal = (done: Promise<unknown>) =>
  done.then(
    () => null,
    (error: unknown) => error as DpError,
  );

test("what is missing is made, with relative links, owned by the app's user", async () => {
  const to = release("1-aaaaaaa");
  expect(await link(to, ["uploads", "public/media"], [".secret", "etc/key.pem"])).toEqual([]);
  expect(readlinkSync(join(to, "uploads"))).toBe("../../shared/uploads");
  expect(readlinkSync(join(to, "public/media"))).toBe("../../../shared/public/media");
  expect(readlinkSync(join(to, ".secret"))).toBe("../../shared/.secret");
  for (const path of ["uploads", "public/media"]) expect(lstatSync(join(shared, path)).isDirectory()).toBe(true);
  expect(readFileSync(join(shared, "etc/key.pem"), "utf8")).toBe("");
  expect(lstatSync(join(shared, "uploads")).mode & 0o777).toBe(0o750);
  expect(lstatSync(join(shared, ".secret")).mode & 0o777).toBe(0o640);
  expect([lstatSync(join(shared, "uploads")).uid, lstatSync(join(to, "public")).uid]).toEqual([ids[0], ids[0]]);
});

test("what the commit has is moved the first time, and never overwrites what is there later", async () => {
  const first = release("1-aaaaaaa");
  folder(base, "releases/1-aaaaaaa/uploads");
  folder(base, "releases/1-aaaaaaa/uploads/sub");
  file(join(first, "uploads/sub/a"), "from the commit");
  file(join(first, "conf"), "one");
  expect(await link(first, ["uploads"], ["conf"])).toEqual(["uploads", "conf"]);
  expect(readFileSync(join(shared, "uploads/sub/a"), "utf8")).toBe("from the commit");
  expect(readFileSync(join(first, "conf"), "utf8")).toBe("one");
  writeFileSync(join(first, "uploads/of-a-visitor"), "kept");

  const second = release("2-bbbbbbb");
  mkdirSync(join(second, "uploads"));
  chownSync(join(second, "uploads"), ...ids);
  file(join(second, "uploads/new-in-the-commit"), "");
  file(join(second, "conf"), "two");
  expect(await link(second, ["uploads"], ["conf"])).toEqual([]);
  expect(readdirSync(join(second, "uploads")).sort()).toEqual(["of-a-visitor", "sub"]);
  expect(readFileSync(join(second, "conf"), "utf8")).toBe("one");
});

test("a second run over the same release changes nothing", async () => {
  const to = release("1-aaaaaaa");
  file(join(to, "conf"), "one");
  await link(to, ["uploads"], ["conf"]);
  writeFileSync(join(shared, "conf"), "changed on the server");
  expect(await link(to, ["uploads"], ["conf"])).toEqual([]);
  expect(readFileSync(join(to, "conf"), "utf8")).toBe("changed on the server");
});

test("what a run that was killed half way had copied is not taken for whole", async () => {
  const to = release("1-aaaaaaa");
  mkdirSync(join(to, "uploads"));
  chownSync(join(to, "uploads"), ...ids);
  file(join(to, "uploads/a"), "whole");
  folder(base, "shared", ".dp-new.uploads");
  file(join(shared, ".dp-new.uploads/a"), "ha");
  await link(to, ["uploads"]);
  expect(readFileSync(join(shared, "uploads/a"), "utf8")).toBe("whole");
  expect(readdirSync(shared)).toEqual(["uploads"]);
});

test("the links go where the whole server's folder goes", async () => {
  const to = release("1-aaaaaaa");
  await link(to, ["uploads"]);
  const moved = join(top, `${base}-moved`);
  renameSync(join(top, base), moved);
  writeFileSync(join(moved, "releases/1-aaaaaaa/uploads/x"), "x");
  expect(readFileSync(join(moved, "shared/uploads/x"), "utf8")).toBe("x");
});

test("removing the release leaves what is shared", async () => {
  const to = release("1-aaaaaaa");
  await link(to, ["uploads", "a/b"], ["conf"]);
  for (const name of ["uploads/x", "a/b/y", "conf"]) file(join(shared, name), name);
  chmodSync(join(shared, "uploads"), 0o750);
  await removeTree(to, user, io);
  expect(existsSync(to)).toBe(false);
  for (const name of ["uploads/x", "a/b/y", "conf"]) expect(readFileSync(join(shared, name), "utf8")).toBe(name);
});

describe("a conflict is an error before anything is changed:", () => {
  test("a file where a folder is wanted, a folder where a file is", async () => {
    const to = release("1-aaaaaaa");
    file(join(to, "other"), "of the commit");
    file(join(shared, "uploads"), "text");
    folder(base, "shared/conf");
    const error = await refusal(link(to, ["uploads"], ["other", "conf"]));
    expect(error?.exit).toBe("config");
    expect(error?.lines).toEqual([
      `${shared}/uploads is not a folder, but deploy.yml shares a folder of that name`,
      `${shared}/conf is not a file, but deploy.yml shares a file of that name`,
    ]);
    expect(error?.hint).toContain(`mv ${shared}/uploads ${shared}/uploads.old`);
    expect(readFileSync(join(shared, "uploads"), "utf8")).toBe("text");
    expect(readFileSync(join(to, "other"), "utf8")).toBe("of the commit");
    expect(readdirSync(shared).sort()).toEqual(["conf", "uploads"]);
  });

  test("a file where a folder is to be in", async () => {
    file(join(shared, "a"), "text");
    const error = await refusal(link(release("1-aaaaaaa"), ["a/b"]));
    expect(error?.lines).toEqual([`${shared}/a is not a folder, but deploy.yml shares a folder of that name`]);
  });

  test("a link that leads nowhere", async () => {
    symlinkSync("/nowhere", join(shared, "uploads"));
    expect((await refusal(link(release("1-aaaaaaa"), ["uploads"])))?.exit).toBe("config");
    expect(readlinkSync(join(shared, "uploads"))).toBe("/nowhere");
  });
});

test("an operator's own link to a bigger disk is kept", async () => {
  const disk = folder(`${base}-disk`);
  symlinkSync(disk, join(shared, "uploads"));
  const to = release("1-aaaaaaa");
  await link(to, ["uploads"]);
  writeFileSync(join(to, "uploads/x"), "x");
  expect(readdirSync(disk)).toEqual(["x"]);
});

// What the app plants in its own folders is followed by nobody but the app itself.
test.skipIf(!isRoot)("a planted link opens nothing that the app's user cannot open", async () => {
  const secret = join(top, `${base}-secret`);
  mkdirSync(secret, { mode: 0o700 });
  writeFileSync(join(secret, "key"), "root's");
  symlinkSync(secret, join(shared, "uploads"));
  symlinkSync(join(secret, "key"), join(shared, "conf"));
  const to = release("1-aaaaaaa");
  for (const name of ["uploads", "media"]) {
    mkdirSync(join(to, name));
    chownSync(join(to, name), ...ids);
    file(join(to, name, "x"), "x");
  }
  symlinkSync(secret, join(shared, "deep"));
  // To this user they lead nowhere; the one inside a folder of root's cannot even be seen.
  expect((await refusal(link(to, ["media"], ["conf"])))?.exit).toBe("config");
  await expect(link(to, ["deep/inner"])).rejects.toThrow();
  expect(readdirSync(secret)).toEqual(["key"]);
  expect(readFileSync(join(secret, "key"), "utf8")).toBe("root's");
  expect(lstatSync(secret).uid).toBe(0);
});

test.skipIf(!isRoot)("a planted link in the release is removed as the app's user, and its target stays", async () => {
  const secret = join(top, `${base}-target`);
  mkdirSync(secret, { mode: 0o700 });
  writeFileSync(join(secret, "key"), "root's");
  const to = release("1-aaaaaaa");
  symlinkSync(secret, join(to, "uploads"));
  await link(to, ["uploads"]);
  expect(readdirSync(secret)).toEqual(["key"]);
  expect(readlinkSync(join(to, "uploads"))).toBe("../../shared/uploads");
});

describe.skipIf(!isRoot)("for what root mounts", () => {
  const mount = (to: string, dirs: string[], files: string[] = [], mounts = true) =>
    linkShared({ shared, folder: to, user, timeout: 60_000, mounts }, { dirs, files }, io);
  const owners = (...names: string[]) => names.map((name) => lstatSync(join(shared, name)).uid);
  const asApp = (line: string) => Bun.spawnSync(asUser(["sh", "-c", line], user)).exitCode;

  test("the way is root's and what is shared the app's, whoever made it first", async () => {
    const first = release("1-aaaaaaa");
    folder(base, "releases/1-aaaaaaa/data");
    folder(base, "releases/1-aaaaaaa/data/uploads");
    file(join(first, "data/uploads/a"), "from the commit");
    folder(base, "shared/data");
    folder(base, "shared/old/deep");
    expect(await mount(first, ["data/uploads", "old/deep"], ["etc/key"])).toEqual(["data/uploads"]);
    expect(owners("", "data", "old", "etc")).toEqual([0, 0, 0, 0]);
    expect(owners("data/uploads", "data/uploads/a", "old/deep", "etc/key")).toEqual(Array(4).fill(ids[0]));
    expect(readFileSync(join(first, "data/uploads/a"), "utf8")).toBe("from the commit");
    expect([lstatSync(join(shared, "old/deep")).mode & 0o777, lstatSync(join(shared, "etc/key")).mode & 0o777]).toEqual(
      [0o755, 0o640],
    );
    expect(readdirSync(join(shared, "data"))).toEqual(["uploads"]);
    expect(asApp(`touch ${shared}/data/uploads/b`)).toBe(0);
    for (const way of ["data", "data/uploads", "etc/key"])
      expect([way, asApp(`mv ${shared}/${way} ${shared}/data/uploads/x`)]).toEqual([way, 1]);
  });

  test("rights that the app gave itself beforehand are gone", async () => {
    // An access list: version, then tag, rights and id of owner, this user, group, mask and others.
    const entries = [
      [1, 7],
      [2, 7, ids[0]],
      [4, 7],
      [16, 7],
      [32, 7],
    ].map(([tag, rights, id = -1]) => `${tag},${rights},${id}`);
    const list = `struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in [(${entries.join("),(")})])`;
    const line = `import os, struct; os.setxattr("${shared}", "system.posix_acl_access", ${list})`;
    expect(asApp(`python3 -c '${line}'`)).toBe(0);
    await mount(release("1-aaaaaaa"), ["uploads"]);
    expect(asApp(`mv ${shared}/uploads ${shared}/x`)).toBe(1);
  });

  test("a later release of another type gets what it adds, and of what there is nothing changes", async () => {
    await mount(release("1-aaaaaaa"), ["uploads"]);
    const second = release("2-bbbbbbb");
    file(join(second, "conf"), "two");
    expect(await mount(second, ["uploads", "more/cache"], ["conf"], false)).toEqual(["conf"]);
    expect(asApp(`echo three > ${second}/conf && touch ${second}/more/cache/x ${second}/uploads/y`)).toBe(0);
    expect(readFileSync(join(shared, "conf"), "utf8")).toBe("three\n");
    expect(owners("", "more", "more/cache", "conf")).toEqual([0, 0, ids[0], ids[0]]);
  });

  test("a link on the way is refused, and its target stays as it is", async () => {
    const secret = join(top, `${base}-way`);
    mkdirSync(secret, { mode: 0o755 });
    symlinkSync(secret, join(shared, "data"));
    const error = await refusal(mount(release("1-aaaaaaa"), ["data/uploads"]));
    expect([error?.exit, error?.message]).toEqual([
      "config",
      expect.stringContaining(`${shared}/data is not a folder`),
    ]);
    expect([readdirSync(secret), lstatSync(secret).mode & 0o777]).toEqual([[], 0o755]);
  });
});
