// An app in a folder of its repository: built, hooked, started and gone back to there, with its shared files.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { lstatSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { deployYml, sandbox, SERVER, type Sandbox } from "../support/sandbox.ts";

let box: Sandbox;
beforeAll(async () => {
  box = await sandbox();
});
afterAll(() => box.stop());

const YML = (more = "") =>
  deployYml(
    box.app,
    `root: services/api
build: pwd > built && cat ../../packages/lib > lib
hooks:
  preDeploy: ./hook.sh
shared: {dirs: [uploads], files: [state/say]}
${more}`,
  );
const FILES = () => ({
  "deploy.yml": YML(),
  "server.py": null,
  say: null,
  "packages/lib": "of a neighbour",
  "services/api/server.py": SERVER.replace('read("say")', 'read("state/say")'),
  "services/api/state/say": "from the folder",
  "services/api/hook.sh": "#!/bin/sh\npwd > hooked\n",
});

test("the first push with a root runs all of it in that folder", async () => {
  const before = await box.release({});
  const id = await box.release(FILES());
  const folder = join(box.base, "releases", id, "services/api");
  expect(await box.answer()).toStartWith("from the folder ");
  expect(readFileSync(join(folder, "built"), "utf8").trim()).toBe(folder);
  expect(readFileSync(join(folder, "hooked"), "utf8").trim()).toBe(folder);
  expect(readFileSync(join(folder, "lib"), "utf8")).toBe("of a neighbour");
  expect(readlinkSync(join(folder, "uploads"))).toBe("../../../../shared/uploads");
  expect(readFileSync(join(box.base, "shared/state/say"), "utf8")).toBe("from the folder");
  for (const pid of box.instances()[id] ?? []) expect(readlinkSync(`/proc/${pid}/cwd`)).toBe(folder);
  expect((await box.dp("rollback", box.app)).code).toBe(0);
  expect(box.link("current")).toBe(before);
  expect((await box.dp("rollback", box.app, id)).code).toBe(0);
  expect(await box.answer()).toStartWith("from the folder ");
});

test("a build that puts a link in its place leads nowhere but where the app's user may go", async () => {
  const live = box.link("current");
  const config = YML().replace("build: pwd", "build: mv ../api ../gone && ln -s /nowhere ../api; pwd");
  await box.commit({ "deploy.yml": config });
  expect((await box.push()).code).not.toBe(0);
  expect(box.link("current")).toBe(live);
  expect(lstatSync(join(box.base, "current/services/api")).isDirectory()).toBe(true);
});

test("a root that the commit does not have is refused with its place", async () => {
  await box.commit({ "deploy.yml": YML().replace("root: services/api", "root: services/web") });
  const { code, text } = await box.push();
  expect(code).not.toBe(0);
  expect(text).toContain("deploy.yml:5:7 root: the commit has no folder services/web");
});
