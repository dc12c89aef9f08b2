// The files of a commit, and of a folder: listed by kind, read as text, never through a link.
import { beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DpError } from "../../lib/errors.ts";
import { commitTree, folderTree, type Tree } from "../../lib/git/tree.ts";
import { commit, io, useServer } from "../support/core-server.ts";

const server = useServer();
let repo: string;
beforeAll(async () => {
  repo = server.path("files.git");
  await io.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", repo]);
});

const sorted = async (tree: Tree) => (await tree.list()).map(({ path, kind }) => `${kind} ${path}`).sort();
const HUGE = Buffer.alloc(16 * 1024 * 1024 + 1, "x");

describe("a commit", () => {
  test("lists every entry with its kind, whatever its name", async () => {
    const names = ["a b", 'quote"s', "back\\slash", "new\nline", "ä", "-n", "deep/er/file"];
    const files = Object.fromEntries(names.map((name) => [name, "x"]));
    const sha = await commit(repo, {
      ...files,
      "run.sh": { executable: "" },
      link: { link: "a b" },
      sub: { submodule: "1".repeat(40) },
    });
    const expected = [...names.map((name) => `file ${name}`), "executable run.sh", "symlink link", "submodule sub"];
    expect(await sorted(commitTree(repo, sha))).toEqual(expected.sort());
  });

  test("what was called off fails with the reason for that, however far it has come", async () => {
    const sha = await commit(repo, { text: "x" });
    const why = new DpError("interrupted", "stopped by SIGTERM");
    await commitTree(repo, sha).list(); // so that nothing is left to do but to read
    await expect(commitTree(repo, sha, AbortSignal.abort(why)).read("text")).rejects.toBe(why);
    const stop = new AbortController();
    const tree = commitTree(repo, sha, stop.signal);
    const read = [tree.read("text"), tree.read("text")];
    stop.abort(why);
    for (const one of await Promise.allSettled(read)) expect(one).toEqual({ status: "rejected", reason: why });
  });

  test("gives the text of files as it is, and no text of anything else", async () => {
    const sha = await commit(repo, {
      text: "ä\r\n\n\n",
      "bin/run": { executable: "#!/bin/sh\n" },
      link: { link: "text" },
      empty: "",
    });
    const tree = commitTree(repo, sha);
    expect(await tree.read("text")).toBe("ä\r\n\n\n");
    expect(await tree.read("bin/run")).toBe("#!/bin/sh\n");
    expect(await tree.read("empty")).toBe("");
    for (const path of ["link", "bin", "missing", "./text", "bin/../text", ""])
      expect(await tree.read(path)).toBeNull();
    expect(await tree.link("link")).toBe("text");
    for (const path of ["text", "missing"]) expect(await tree.link(path)).toBeNull();
  });

  test("that is too large to read, or no text, says so", async () => {
    const wide = Buffer.from("\uFEFFa\r\n", "utf16le");
    const sha = await commit(repo, { huge: HUGE, binary: Buffer.from([0xfe, 0xfe]), wide });
    const tree = commitTree(repo, sha);
    await expect(tree.read("huge")).rejects.toThrow("huge: 16777217 bytes, more than");
    await expect(tree.read("binary")).rejects.toThrow("binary: not UTF-8 text");
    await expect(tree.read("wide")).rejects.toThrow("wide: UTF-16, but must be UTF-8");
    expect(await tree.read("wide", "by mark")).toBe("a\r\n");
    await expect(tree.read("binary", "by mark")).rejects.toThrow("binary: not UTF-8 text");
  });

  test("without files has none; one that is not there is git's failure", async () => {
    expect(await commitTree(repo, await commit(repo, {})).list()).toEqual([]);
    await expect(commitTree(repo, "1".repeat(40)).list()).rejects.toThrow("exited with code 128");
  });
});

describe("a folder", () => {
  test("lists what a commit would, but no hidden folder and no node_modules", async () => {
    const root = server.path("folder");
    for (const folder of ["sub/deeper", ".git", "node_modules/x", "sub/node_modules"])
      mkdirSync(join(root, folder), { recursive: true });
    for (const file of ["a", "sub/deeper/b", ".git/config", "node_modules/x/y", "sub/node_modules/z", ".env"])
      writeFileSync(join(root, file), "x");
    writeFileSync(join(root, "run.sh"), "");
    chmodSync(join(root, "run.sh"), 0o755);
    symlinkSync("sub", join(root, "link"));
    expect(await sorted(folderTree(root))).toEqual([
      "executable run.sh",
      "file .env",
      "file a",
      "file sub/deeper/b",
      "symlink link",
    ]);
  });

  test("gives text, and none of links, folders and what is not there", async () => {
    const root = server.path("texts");
    mkdirSync(join(root, "sub"), { recursive: true });
    writeFileSync(join(root, "a"), "ä");
    writeFileSync(join(root, "huge"), HUGE);
    writeFileSync(join(root, "binary"), Buffer.from([0xff]));
    symlinkSync("a", join(root, "link"));
    const tree = folderTree(root);
    expect(await tree.read("a")).toBe("ä");
    for (const path of ["link", "sub", "missing", "a/below"]) expect(await tree.read(path)).toBeNull();
    expect(await tree.link("link")).toBe("a");
    for (const path of ["a", "missing", "a/below"]) expect(await tree.link(path)).toBeNull();
    await expect(tree.read("huge")).rejects.toThrow("more than");
    await expect(tree.read("binary")).rejects.toThrow("not UTF-8");
  });
});
