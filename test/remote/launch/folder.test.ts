// A folder that dp launch cannot take, and what it says to type: nothing is asked of a server before that.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { project } from "../../support/sandbox.ts";

let dir = "";
beforeEach(() => void (dir = mkdtempSync(join(tmpdir(), "dp-folder-"))));
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const env = () => ({
  PATH: process.env["PATH"]!,
  HOME: dir,
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_CEILING_DIRECTORIES: tmpdir(),
});
const git = (...words: string[]) =>
  Bun.spawnSync(["git", "-c", "user.name=dp", "-c", "user.email=dp@localhost", ...words], { cwd: dir, env: env() });
const launch = (folder = "") => {
  const argv = [process.execPath, join(project, "bin/dp"), "launch", "root@127.0.0.1:1"];
  const { exitCode, stderr } = Bun.spawnSync(argv, { cwd: join(dir, folder), env: env() });
  return [exitCode, stderr.toString()];
};
const write = (name: string) => writeFileSync(join(dir, name), "name: shop\ntype: python\nhealthCheck: /\n");
const COMMIT = 'git commit -m "Deploy with dp"';

test("no repository: what commits the app as well, without dp init where there is a deploy.yml", () => {
  const said = (init: string) => [
    2,
    `dp: this folder is no git repository\n  → git init -b main && ${init}git add . && ${COMMIT}\n`,
  ];
  expect(launch()).toEqual(said("dp init && "));
  write("deploy.yml");
  expect(launch()).toEqual(said(""));
});

test("no commit, then one without deploy.yml, then one that is not as the file", () => {
  git("init", "-q");
  expect(launch()).toEqual([2, `dp: this repository has no commit yet\n  → dp init && git add . && ${COMMIT}\n`]);
  git("commit", "-q", "--allow-empty", "-m", "first");
  expect(launch()).toEqual([
    2,
    `dp: the last commit has no deploy.yml\n  → dp init && git add deploy.yml && ${COMMIT}\n`,
  ]);
  write("deploy.yml");
  expect(launch()).toEqual([
    2,
    `dp: deploy.yml is not in the last commit as it is here\n  → git add deploy.yml && ${COMMIT}\n`,
  ]);
});

test("one changed file, and two, stay here", () => {
  git("init", "-q");
  for (const name of ["deploy.yml", "a", "b"]) write(name);
  git("add", ".");
  git("commit", "-q", "-m", "first");
  const said = () => {
    const argv = [process.execPath, join(project, "bin/dp"), "launch", "root@127.0.0.1:1"];
    return Bun.spawnSync(argv, { cwd: dir, env: env() }).stdout.toString();
  };
  writeFileSync(join(dir, "a"), "");
  expect(said()).toBe("folder    1 changed file is not committed: it stays here\n");
  writeFileSync(join(dir, "b"), "");
  expect(said()).toBe("folder    2 changed files are not committed: they stay here\n");
});

test("the deploy.yml of the app's folder counts there, and the server has to read the same one", () => {
  git("init", "-q");
  mkdirSync(join(dir, "api"));
  mkdirSync(join(dir, "web"));
  write("api/deploy.yml");
  git("commit", "-q", "--allow-empty", "-m", "first");
  const changed = `dp: api/deploy.yml is not in the last commit as it is here\n  → git add deploy.yml && ${COMMIT}\n`;
  expect(launch("api")).toEqual([2, changed]);
  git("add", ".");
  git("commit", "-q", "-m", "second");
  expect(launch("api")).toEqual([8, expect.stringContaining("root@127.0.0.1 was not reached")]);
  const below = "dp: the last commit has no deploy.yml at its top, but api/deploy.yml\n";
  for (const folder of ["", "web"])
    expect(launch(folder)).toEqual([2, `${below}  → type it in the app's folder: cd api\n`]);
  write("deploy.yml");
  git("add", ".");
  git("commit", "-q", "-m", "third");
  const both = 'dp: api/deploy.yml and deploy.yml are both for "shop"\n  → write another name: in api/deploy.yml\n';
  expect(launch("api")).toEqual([3, both]);
});
