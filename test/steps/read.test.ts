// read: the commit itself says what is deployed, and what could not be is refused before anything changes.
import { beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { begin } from "../../lib/deploy/begin.ts";
import { load } from "../../lib/pipeline/run-file.ts";
import type { DeployConfig } from "../../lib/config/types.ts";
import type { DpError } from "../../lib/errors.ts";
import { envFile } from "../../lib/config/env-file.ts";
import { commit, deployYml, makeApp, runSteps, useServer, type App, type File } from "../support/core-server.ts";

useServer();
let app: App;
beforeAll(async () => {
  app = await makeApp();
});

async function read(files: Record<string, File>) {
  const sha = await commit(app.repo, files);
  const { context } = await begin(app.own, sha);
  return { context, said: await runSteps(context, "read") };
}
const refusal = (files: Record<string, File>) =>
  read(files).then(
    () => null,
    (error: unknown) => error as DpError,
  );

test("the config of the commit becomes a fact, the same one the second time", async () => {
  const { context, said } = await read({ "deploy.yml": deployYml(app.app, "build: make\n") });
  const first = (await load(context)).facts["config"];
  expect(first).toMatchObject({
    name: app.app,
    type: "python",
    build: "make",
    healthCheck: { path: "/", interval: 100 },
  });
  expect(said[0]).toContain("python, health check /");
  await runSteps(context, "read");
  expect((await load(context)).facts["config"]).toEqual(first);
});

test("hooks that are there, and links that stay inside, are taken", async () => {
  await read({
    "deploy.yml": deployYml(app.app, "hooks:\n  preDeploy: ./scripts/go.sh --all\n  postDeploy: echo done\n"),
    "scripts/go.sh": { executable: "#!/bin/sh\necho\n" },
    "a/b": { link: "../deploy.yml" },
    "a/c": { link: "../a" },
    "a/d": { link: "." },
  });
});

test("a root that is a folder of the commit is taken, with the hooks in it", async () => {
  const more = "root: services/api\nhooks:\n  preDeploy: ./go.sh\nshared: {dirs: [uploads]}\n";
  await read({ "deploy.yml": deployYml(app.app, more), "services/api/go.sh": { executable: "#!/bin/sh\n" } });
});

test.each<[string, string, Record<string, File>, string]>([
  ["is missing", "web", {}, "deploy.yml:8:7 root: the commit has no folder web"],
  ["is a file", "web", { web: "" }, "deploy.yml:8:7 root: web is a file of the commit, not a folder"],
  ["is a link", "web", { web: { link: "x" }, "x/y": "" }, "deploy.yml:8:7 root: web is a symbolic link of the commit"],
  ["lies behind a link", "web/a", { web: { link: "x" }, "x/a/y": "" }, "root: web is a symbolic link of the commit"],
  [
    "is a submodule",
    "web",
    { web: { submodule: "1".repeat(40) } },
    "root: web is a submodule, and dp reads only files of the commit itself",
  ],
])("a root that %s is refused", async (_, root, files, words) => {
  const error = await refusal({ "deploy.yml": deployYml(app.app, `root: ${root}\n`), ...files });
  expect(error?.exit).toBe("config");
  expect(error?.lines.join("\n")).toContain(words);
});

test.each([
  ["../x", 'must stay inside the repo, without ".."'],
  ["/srv", "must be relative, write srv"],
  ["a/", "must be plain, write a"],
  [".", "must be plain"],
  [".git", "is git's own"],
])("a root %s is refused", async (root, words) => {
  const error = await refusal({ "deploy.yml": deployYml(app.app, `root: ${root}\n`) });
  expect(error?.lines.join("\n")).toContain(`deploy.yml:8:7 root: ${words}`);
});

test("what is missing is looked for in the root", async () => {
  const more = "root: api\nhooks:\n  preDeploy: ./go.sh\nshared: {files: [data]}\n";
  const error = await refusal({ "deploy.yml": deployYml(app.app, more), "go.sh": "", "api/data/x": "" });
  expect(error?.lines).toEqual([
    "deploy.yml:10:14 hooks.preDeploy: the commit has no file api/go.sh",
    "deploy.yml:11:18 shared.files.0: api/data is a folder of the commit: write it under shared.dirs",
  ]);
});

test("another app's name is told with all else that is wrong, by line", async () => {
  const error = await refusal({ "deploy.yml": "tpye: python\nname: other\nhealthCheck: /\nbuild: 3\n" });
  expect(error?.message).toBe("deploy.yml: 4 problems");
  const is = `deploy.yml is for "other", and this is "${app.app}": write name: ${app.app}, or push to other's repository, or on the server: dp setup APP --for other`;
  expect(error?.lines).toEqual([
    expect.stringMatching(/^deploy\.yml:1:1 tpye: unknown key/),
    expect.stringMatching(/^deploy\.yml:1:1 type: missing/),
    `deploy.yml:2:1 name: ${is}`,
    expect.stringMatching(/^deploy\.yml:4:8 build: /),
  ]);
  const bad = await refusal({ "deploy.yml": "name: My App\ntype: python\nhealthCheck: /\n" });
  const mine = `deploy.yml is for "My App", and this is "${app.app}": write name: ${app.app}`;
  expect(bad?.lines).toEqual([`deploy.yml:1:1 name: ${mine}`]);
});

describe("a deploy.yml in the app's folder", () => {
  const other = deployYml("other");
  const configOf = async (files: Record<string, File>) => {
    const { context, said } = await read(files);
    return { config: (await load(context)).facts["config"] as DeployConfig, said: said.join("\n") };
  };

  test.each<[string, () => Record<string, File>]>([
    ["alone", () => ({})],
    ["beside one for another app", () => ({ "web/deploy.yml": other })],
    ["below one at the top for another app", () => ({ "deploy.yml": other })],
    [
      "beside those of other tools",
      () => ({ "k8s/deploy.yml": "metadata:\n  name: x\n", "b/deploy.yml": "{{ x }}: {" }),
    ],
    [
      "beside what is not looked at",
      () => ({ ".github/workflows/deploy.yml": deployYml(app.app), "a/node_modules/b/deploy.yml": deployYml(app.app) }),
    ],
  ])("%s is taken, and its folder is the root", async (_, files) => {
    const script = { executable: "#!/bin/sh\n" };
    const mine = deployYml(app.app, "hooks:\n  preDeploy: ./go.sh\n");
    const { config } = await configOf({ ...files(), "services/api/deploy.yml": mine, "services/api/go.sh": script });
    expect(config).toMatchObject({ name: app.app, root: "services/api" });
  });

  test("has a root that is relative to it", async () => {
    const { config } = await configOf({ "api/deploy.yml": deployYml(app.app, "root: src\n"), "api/src/x": "" });
    expect(config.root).toBe("api/src");
  });

  test("is not read when the one at the top is for the app, and that is said", async () => {
    const files = {
      "deploy.yml": deployYml(app.app, "root: api\n"),
      "api/deploy.yml": deployYml(app.app, "build: x\n"),
    };
    const { config, said } = await configOf(files);
    expect(config).toMatchObject({ root: "api" });
    expect(config.build).toBeUndefined();
    expect(said).toContain(`api/deploy.yml is not read for ${app.app}, deploy.yml is`);
  });

  test("is read for an app of another name by that name", async () => {
    const staging = await makeApp(`for: ${app.app}\n`);
    const sha = await commit(staging.repo, { "api/deploy.yml": deployYml(app.app) });
    const { context } = await begin(staging.own, sha);
    await runSteps(context, "read");
    expect((await load(context)).facts["config"]).toMatchObject({ name: app.app, root: "api" });
  });

  test.each<[string, () => Record<string, File>, string]>([
    [
      "two for one app",
      () => ({ "a/deploy.yml": deployYml(app.app), "b/deploy.yml": deployYml(app.app) }),
      `a/deploy.yml and b/deploy.yml are both for "${"APP"}"`,
    ],
    ["only one for another app", () => ({ "web/deploy.yml": other }), 'with name: APP; web/deploy.yml is for "other"'],
    [
      "the top's for another app",
      () => ({ "deploy.yml": other, "web/x": "" }),
      'deploy.yml is for "other", and this is',
    ],
    [
      "a link",
      () => ({ "api/deploy.yml": { link: "../x.yml" }, "x.yml": deployYml(app.app) }),
      "and api/deploy.yml is not one for APP",
    ],
    [
      "another tool's",
      () => ({ "k8s/deploy.yml": "metadata: {name: x}\n", ".github/workflows/deploy.yml": deployYml(app.app) }),
      "at its top, and k8s/deploy.yml is not one for APP",
    ],
    [
      "none, with several apps",
      () => ({ "api/requirements.txt": "flask\n", "apps/web/package.json": "{}", "apps/web/server.js": "" }),
      "these folders have an app:\n  api (requirements.txt)\n  apps/web (package.json",
    ],
    ["a folder that is a link", () => ({ api: { link: "x" }, "x/y": "" }), "the commit has no deploy.yml at its top"],
    [
      "a root that is not there",
      () => ({ "api/deploy.yml": deployYml(app.app, "root: api\n") }),
      "api/deploy.yml:8:7 root: the commit has no folder api/api",
    ],
    [
      "a root out of it",
      () => ({ "api/deploy.yml": deployYml(app.app, "root: ../web\n"), "web/x": "" }),
      'api/deploy.yml:8:7 root: must stay inside the repo, without ".."',
    ],
    ["no YAML", () => ({ "api/deploy.yml": `name: ${app.app}\ntype: [\n`, "b/deploy.yml": other }), "api/deploy.yml:"],
    ["no UTF-8", () => ({ "api/deploy.yml": Buffer.from([0x6e, 0xff, 0xfe]) }), "api/deploy.yml: not UTF-8 text"],
  ])("is refused: %s", async (_, files, words) => {
    const error = await refusal(files());
    expect(error?.exit).toBe("config");
    expect([error?.message, ...error!.lines].join("\n")).toContain(words.replace("APP", app.app));
  });
});

const yml = () => deployYml(app.app, "hooks:\n  preDeploy: ./go.sh\n");

describe("refused:", () => {
  test.each<[string, () => Record<string, File>, string]>([
    ["no deploy.yml", () => ({ "sub/x": "" }), "no deploy.yml at its top"],
    [
      "deploy.yml a link",
      () => ({ "deploy.yml": { link: "other.yml" }, "other.yml": deployYml(app.app) }),
      "deploy.yml is a symlink",
    ],
    ["deploy.yml a folder", () => ({ "deploy.yml/x": "" }), "no deploy.yml"],
    ["no UTF-8", () => ({ "deploy.yml": Buffer.from([0x6e, 0xff, 0xfe]) }), "deploy.yml: not UTF-8 text"],
    ["an unknown key", () => ({ "deploy.yml": deployYml(app.app, "healthcheck: /\n") }), "deploy.yml"],
    ["an empty deploy.yml", () => ({ "deploy.yml": "" }), "deploy.yml"],
  ])("%s", async (_, files, words) => {
    const error = await refusal(files());
    expect(error?.exit).toBe("config");
    expect(error?.message).toContain(words);
  });

  test.each<[string, () => Record<string, File>, string]>([
    ["a hook that is not there", () => ({ "deploy.yml": yml() }), "hooks.preDeploy: the commit has no file go.sh"],
    [
      "a hook without run bit",
      () => ({ "deploy.yml": yml(), "go.sh": "#!/bin/sh\n" }),
      "go.sh is not executable: git update-index",
    ],
    ["a hook that is a link", () => ({ "deploy.yml": yml(), "go.sh": { link: "x" } }), "go.sh is not executable"],
    [
      "a hook of Windows",
      () => ({ "deploy.yml": yml(), "go.sh": { executable: "#!/bin/sh\r\necho\r\n" } }),
      "hooks.preDeploy: go.sh has Windows line ends: sed -i 's/\\r$//' go.sh",
    ],
    [
      "a script of the build, of Windows",
      () => ({
        "deploy.yml": deployYml(app.app, "build: cd . && exec sh -e tools/b.sh\n"),
        "tools/b.sh": "echo\r\n",
      }),
      "build: tools/b.sh has Windows line ends: sed -i 's/\\r$//' tools/b.sh",
    ],
    [
      "a script of a job, of Windows",
      () => ({
        "deploy.yml": deployYml(app.app, "cron: [{schedule: '@daily', command: A=1 ./job --all}]\n"),
        job: { executable: "#!/usr/bin/env python3\r\nprint()\r\n" },
      }),
      "cron.0.command: job has Windows line ends: sed -i 's/\\r$//' job",
    ],
    [
      "a submodule",
      () => ({ "deploy.yml": deployYml(app.app), sub: { submodule: "1".repeat(40) } }),
      "sub: a submodule without a url in .gitmodules",
    ],
    [
      "an absolute link",
      () => ({ "deploy.yml": deployYml(app.app), "a/x": { link: "/etc/passwd" } }),
      "a/x: a link out of the repository, to /etc/passwd",
    ],
    ["a link upwards", () => ({ "deploy.yml": deployYml(app.app), "a/x": { link: "../../x" } }), "a/x: a link out"],
    ["a link to the folder above", () => ({ "deploy.yml": deployYml(app.app), x: { link: ".." } }), "x: a link out"],
    [
      "a link that hides its way",
      () => ({ "deploy.yml": deployYml(app.app), x: { link: "a/../../x" } }),
      "x: a link out",
    ],
  ])("%s", async (_, files, words) => {
    const error = await refusal(files());
    expect(error?.exit).toBe("config");
    expect(error?.lines.join("\n")).toContain(words);
  });

  test("with every problem at once", async () => {
    const error = await refusal({ "deploy.yml": yml(), x: { link: "/x" }, y: { link: "/y" } });
    expect(error?.lines.length).toBe(3);
  });

  test("a wrong env file of the server, whose values are not shown", async () => {
    const path = envFile(app.base, "production");
    writeFileSync(path, "PASSWORD = hidden-value\n");
    chmodSync(path, 0o600);
    const error = await refusal({ "deploy.yml": deployYml(app.app) });
    writeFileSync(path, "");
    expect(error?.exit).toBe("config");
    expect(JSON.stringify([error?.message, error?.lines])).not.toContain("hidden-value");
  });
});

const VITE = JSON.stringify({
  scripts: { dev: "vite", build: "vite build", preview: "vite preview" },
  devDependencies: { vite: "^7.0.0" },
});

describe("a commit without deploy.yml is told what fits it:", () => {
  test.each<[string, Record<string, File>, string[]]>([
    [
      "python",
      { "requirements.txt": "flask\ngunicorn\n", "app.py": '@app.route("/healthz")' },
      ["because of requirements.txt these lines are enough:", "type: python", "healthCheck: /healthz"],
    ],
    ["node", { "package.json": "{}", "server.js": "" }, ["because of package.json", "type: node", "healthCheck: /"]],
    ["docker", { Dockerfile: "FROM scratch" }, ["because of Dockerfile", "type: docker", "healthCheck: /"]],
    [
      "static",
      { "dist/index.html": "" },
      ["because of dist/index.html", "type: static", "healthCheck: /", "static:", "  root: dist"],
    ],
    [
      "a site that Vite builds",
      { "package.json": VITE, "package-lock.json": "{}", "index.html": "", "src/main.js": "" },
      [
        "because of vite and the build script in package.json",
        "type: static",
        "healthCheck: /",
        "build: npm ci && npm run build",
        "static:",
        "  root: dist",
      ],
    ],
    [
      "an app in a folder",
      { "README.md": "", "api/requirements.txt": "flask\n", "api/app.py": "", "tools/x.py": "" },
      ["because of api/requirements.txt", "root: api", "type: python", "healthCheck: /"],
    ],
    [
      "nothing that dp knows",
      { "main.go": "package main" },
      ["nothing in it shows how the app starts", "type: python", "healthCheck: /", "command: ./start.sh"],
    ],
    [
      "a package.json that starts nothing",
      { "package.json": "{}", "src/a.ts": "" },
      ["nothing in it shows how the app starts", "type: node", "healthCheck: /", "command: node FILE.js"],
    ],
  ])("%s", async (_, files, [because, ...lines]) => {
    const error = await refusal(files);
    expect([error?.exit, error?.message]).toEqual(["config", "the commit has no deploy.yml at its top"]);
    expect(error?.lines[0]).toStartWith(because!);
    expect(error?.lines.slice(1)).toEqual([`  name: ${app.app}`, ...lines.map((line) => `  ${line}`)]);
    expect(error?.hint).toMatch(/^write them into deploy\.yml.*, then commit it$/);
    // What was proposed is taken.
    await read({
      ...files,
      "deploy.yml": error!.lines
        .slice(1)
        .map((line) => `${line.slice(2)}\n`)
        .join(""),
    });
  });

  test.each([
    ["deploy.yaml", "git mv deploy.yaml deploy.yml"],
    ["Deploy.yml", "git mv Deploy.yml deploy.yml"],
    ["api/deploy.yaml", "git mv api/deploy.yaml api/deploy.yml"],
  ])("%s has nearly its name", async (name, hint) => {
    const error = await refusal({ [name]: deployYml(app.app), "app.py": "" });
    expect(error).toMatchObject({ message: `the commit has no deploy.yml, but ${name}`, hint });
  });
});

test("near names and an env file are warned of, and the deploy goes on", async () => {
  const { said } = await read({ "deploy.yml": deployYml(app.app), procfile: "web: x", ".env": "A=1\n" });
  expect(said.slice(0, 2)).toEqual([
    expect.stringContaining("procfile is not read, a Procfile is: git mv procfile Procfile"),
    expect.stringContaining(`.env is in the commit`),
  ]);
});
