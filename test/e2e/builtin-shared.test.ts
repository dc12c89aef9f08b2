// Files that stay, from push to push: moved once, kept through failures, rollbacks and the removal of old releases.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deployYml, sandbox, type Sandbox } from "../support/sandbox.ts";

let box: Sandbox;
let before: string;
beforeAll(async () => {
  box = await sandbox();
  before = await box.release({ "uploads/seed": "of the first commit" });
});
afterAll(() => box.stop());

const shared = (...parts: string[]) => join(box.base, "shared", ...parts);
const SHARED = "shared: {dirs: [uploads], files: [say]}\n";

test("the first push with shared moves what the commit has, and the app reads it there", async () => {
  await box.release({ "deploy.yml": deployYml(box.app, SHARED), say: "shared" });
  expect(readFileSync(shared("uploads/seed"), "utf8")).toBe("of the first commit");
  expect(await box.answer()).toStartWith("shared ");
});

test("what the server has is kept when the commit changes it", async () => {
  writeFileSync(shared("uploads/of-a-visitor"), "kept");
  await box.release({ say: "of the second commit", "uploads/seed": "changed", mode: "" });
  expect(await box.answer()).toStartWith("shared ");
  expect(readFileSync(join(box.base, "current/uploads/of-a-visitor"), "utf8")).toBe("kept");
  expect(readFileSync(shared("uploads/seed"), "utf8")).toBe("of the first commit");
});

test("a failed deploy leaves it as it is", async () => {
  await box.commit({ mode: "crash" });
  const { code } = await box.push();
  expect(code).not.toBe(0);
  expect(readdirSync(shared("uploads")).sort()).toEqual(["of-a-visitor", "seed"]);
  await box.release({ mode: null });
});

test("a conflict is told, and the old release serves on", async () => {
  const live = box.link("current");
  writeFileSync(shared("data"), "a file");
  await box.commit({ "deploy.yml": deployYml(box.app, "shared: {dirs: [uploads, data], files: [say]}\n") });
  const { code, text } = await box.push();
  expect(code).not.toBe(0);
  expect(text).toContain("FAILED at link");
  expect(text).toContain("shared/data is not a folder, but deploy.yml shares a folder of that name");
  expect(box.link("current")).toBe(live);
  expect(readFileSync(shared("data"), "utf8")).toBe("a file");
  rmSync(shared("data"));
  mkdirSync(shared("data"));
  expect((await box.push()).code).toBe(0);
});

test("a release from before shared can be gone back to, with its own files", async () => {
  const { code, text } = await box.dp("rollback", box.app, before);
  expect(`${code} ${text}`).toStartWith("0 ");
  expect(box.link("current")).toBe(before);
  expect(lstatSync(join(box.base, "current/uploads")).isSymbolicLink()).toBe(false);
  expect(await box.answer()).toStartWith("one ");
});

test("pruning removes releases and nothing of what they share", async () => {
  const config = join(box.base, "config.yml");
  writeFileSync(config, `${readFileSync(config, "utf8")}keep: 1\n`);
  for (const say of ["a", "b", "c"]) await box.release({ say });
  const left = readdirSync(join(box.base, "releases"));
  expect(left).not.toContain(before);
  expect(existsSync(join(box.base, "releases", box.link("current")!))).toBe(true);
  expect(readdirSync(shared("uploads")).sort()).toEqual(["of-a-visitor", "seed"]);
  expect(await box.answer()).toStartWith("shared ");
});
