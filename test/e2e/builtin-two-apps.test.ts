// Two apps of one repository, each with a deploy.yml in its folder: one branch is pushed to both.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { deployYml, sandbox, SERVER, type Sandbox } from "../support/sandbox.ts";

let box: Sandbox;
beforeAll(async () => {
  box = await sandbox("api");
});
afterAll(() => box.stop());

const ofWeb = (name: string) => join(box.root, "opt/deployments/web", name);
const liveWeb = () => basename(readlinkSync(ofWeb("current")));

test("each remote deploys its own app of the commit", async () => {
  expect((await box.dp("setup", "web", "--manager", "builtin")).code).toBe(0);
  expect((await box.git("remote", "add", "web", join(box.root, "var/repos/web.git"))).code).toBe(0);
  const id = await box.release({
    "deploy.yml": null,
    "server.py": null,
    say: null,
    "api/deploy.yml": deployYml("api", "build: echo built > built\n"),
    "api/server.py": SERVER,
    "api/say": "the api",
    "services/web/deploy.yml": deployYml("web"),
    "services/web/server.py": SERVER,
    "services/web/say": "the web",
  });
  expect(await box.answer()).toBe(`the api ${id}`);
  const { code, text } = await box.push("web", "main");
  expect([code, text]).toEqual([0, expect.stringContaining(liveWeb()) as string]);
  const { url } = JSON.parse((await box.dp("status", "web", "--json")).stdout) as { url: string };
  expect(await (await fetch(url, { proxy: "" } as RequestInit)).text()).toBe(`the web ${liveWeb()}`);
  expect(box.link("current")).toBe(id);
});

test("what is wrong in one of them stops that app alone, with the place", async () => {
  const [api, web] = [box.link("current"), liveWeb()];
  await box.commit({ "api/deploy.yml": deployYml("api", "biuld: x\n"), "services/web/say": "the web again" });
  const refused = await box.push();
  expect(refused.code).not.toBe(0);
  expect(refused.text).toContain("api/deploy.yml:5:1 biuld: unknown key");
  expect(box.link("current")).toBe(api);
  expect((await box.push("web", "main")).code).toBe(0);
  expect(liveWeb()).not.toBe(web);
  const plan = await box.dp("plan", "web");
  expect([plan.code, plan.text]).toEqual([0, expect.any(String) as string]);
});

test("a commit without the app's deploy.yml is refused, and the live release stays", async () => {
  const live = liveWeb();
  await box.commit({ "services/web/deploy.yml": null });
  const { code, text } = await box.push("web", "main");
  expect(code).not.toBe(0);
  expect(text).toContain('the commit has no deploy.yml with name: web; api/deploy.yml is for "api"');
  expect(liveWeb()).toBe(live);
});

test("while everything is down the command names no app, and the relay is started once", async () => {
  await box.cutPower();
  const doctor = JSON.parse((await box.dp("doctor", "--json")).stdout) as { found: Record<string, string>[] };
  const errors = doctor.found.filter(({ severity, check }) => severity === "error" && check !== "health");
  expect(new Set(errors.map(({ app }) => app))).toEqual(new Set([null, "api", "web"]) as never);
  expect(new Set(errors.map(({ command }) => command))).toEqual(new Set(["dp reconcile"]));
  for (const app of ["api", "web"]) {
    const { stdout } = await box.dp("status", app);
    expect(stdout).toMatch(/^ {2}process    failed: its supervisor was killed; dp reconcile$/m);
    expect(stdout).toContain(`  front      the relay does not run, or does not know ${app}: dp reconcile\n`);
  }
  const { code, stdout } = await box.dp("reconcile");
  expect(code).toBe(0);
  for (const app of ["api", "web"]) expect(stdout).toMatch(new RegExp(`^${app}: .*started ${app}@`, "m"));
  expect(stdout.match(/started the relay/g)).toEqual(["started the relay"]);
  expect((await box.dp("doctor")).stdout).toBe("nothing wrong: the server, api, web\n");
});

test("after a start dp watch says starting, not deploying", async () => {
  expect((await box.dp("reconcile")).code).toBe(0);
  const { stdout } = await box.dp("watch");
  for (const app of ["api", "web"]) expect(stdout).toMatch(new RegExp(`^${app} +starting `, "m"));
});
