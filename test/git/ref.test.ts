// The tip of a ref, wherever git keeps it, and whatever else lies there.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tipOf } from "../../lib/git/ref.ts";
import { git } from "../../lib/git/git.ts";

let folder: string;
let repo: string;
let [one, two] = ["", ""];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "dp-ref-"));
  repo = join(folder, "repo.git");
  Bun.spawnSync(["git", "init", "--quiet", "--bare", repo]);
  const tree = (await git(repo, ["hash-object", "-t", "tree", "-w", "/dev/null"])).text;
  const named = ["-c", "user.name=Tester", "-c", "user.email=tester@localhost"];
  const commit = async (text: string) => (await git(repo, [...named, "commit-tree", "-m", text, tree])).text;
  [one, two] = [await commit("one"), await commit("two")];
});
afterAll(() => rmSync(folder, { recursive: true }));

test("packed, then moved, then gone", async () => {
  await git(repo, ["update-ref", "refs/heads/main", one]);
  expect(await tipOf(repo, "refs/heads/main")).toBe(one);
  await git(repo, ["pack-refs", "--all"]);
  expect(await tipOf(repo, "refs/heads/main")).toBe(one);
  await git(repo, ["update-ref", "refs/heads/main", two]);
  expect(await tipOf(repo, "refs/heads/main")).toBe(two);
  await git(repo, ["update-ref", "-d", "refs/heads/main"]);
  expect(await tipOf(repo, "refs/heads/main")).toBe("");
});

test("another ref behind it", async () => {
  await git(repo, ["update-ref", "refs/heads/main", one]);
  await git(repo, ["symbolic-ref", "refs/heads/other", "refs/heads/main"]);
  expect(await tipOf(repo, "refs/heads/other")).toBe(one);
});

test("a name that leads out of the refs is not followed", async () => {
  writeFileSync(join(folder, "secret"), `${one}\n`);
  expect(await tipOf(repo, "refs/../../secret")).toBe("");
});

test("what is no ref is none: a folder, another text, a long one", async () => {
  const at = (name: string) => join(repo, "refs/heads", name);
  mkdirSync(at("folder"));
  writeFileSync(at("text"), `commit ${one}\n`);
  writeFileSync(at("long"), `${"0".repeat(400)}\n`);
  for (const name of ["folder", "text", "long"]) expect(await tipOf(repo, `refs/heads/${name}`)).toBe("");
});
