// What every file of a folder keeps to: a new step, app type or manager is tested here before it has a test of its own.
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, parse, resolve } from "node:path";
import type * as v from "valibot";
import type { AppType } from "../lib/contracts/app-type.ts";
import type { Check } from "../lib/contracts/check.ts";
import { create } from "../lib/pipeline/run-file.ts";
import { fact, type Kind } from "../lib/pipeline/facts.ts";
import { runFile } from "../lib/release/history.ts";
import type { Manager } from "../lib/contracts/manager.ts";
import { GIVEN, PIPELINES, TOGETHER } from "../lib/pipeline/pipeline.ts";
import type { Facts, Step } from "../lib/pipeline/step.ts";
import { ownKeys, type Declared } from "../lib/config/declared.ts";
import { deploySchema } from "../lib/config/deploy-schema.ts";
import { serverKinds } from "../lib/config/kinds.ts";
import { serverSchema } from "../lib/config/server-schema.ts";
import { front } from "../lib/registry.ts";
import { dp, makeApp, runDp, useServer } from "./support/core-server.ts";

const project = resolve(import.meta.dir, "..");
const filesIn = (folder: string) =>
  readdirSync(join(project, folder), { withFileTypes: true })
    .flatMap((entry) => (entry.isFile() ? [entry.name] : []))
    .sort();
const vocabulary: Readonly<Record<string, v.GenericSchema>> = fact;
const load = async <T>(path: string) => ((await import(join(project, path))) as { default: T }).default;
const kinds = Object.keys(PIPELINES) as Kind[];

describe.each(filesIn("steps"))("step %s", (file) => {
  const path = join("steps", file);
  const { name, ext } = parse(file);

  test("can be run as it is, without code from the current folder", () => {
    const [first = "", second = ""] = readFileSync(join(project, path), "utf8").split("\n");
    expect(first).toMatch(/^#!\/usr\/bin\/env -S bun .*--no-env-file .*--config=\/dev\/null .*--no-install$/);
    expect(second).toMatch(/^\/\/ \S/);
    expect(statSync(join(project, path)).mode & 0o111).toBe(0o111);
    expect(ext).toBe(".ts");
  });

  test("is called by its file's name, and says in one line what it does", async () => {
    const step = await load<Step<Facts, Facts>>(path);
    expect(step.name).toBe(name);
    expect(step.summary).toMatch(/^[A-Z][^\n]{5,70}[^.\n]$/);
    expect(typeof step.run).toBe("function");
  });

  test("needs and provides facts of the vocabulary, by their own schemas", async () => {
    const { needs, provides } = await load<Step<Facts, Facts>>(path);
    for (const [word, schema] of [...Object.entries(needs), ...Object.entries(provides)]) {
      expect(Object.keys(vocabulary)).toContain(word);
      expect(schema === vocabulary[word]).toBe(true);
    }
  });

  test("has its place in an order", () => {
    const orders = [...kinds.map((kind): readonly string[] => PIPELINES[kind]), Object.keys(TOGETHER)];
    expect(orders.filter((order) => order.includes(name))).not.toEqual([]);
  });

  test("run by hand without a run file, it says how it is run", () => {
    const child = Bun.spawnSync([join(project, path)], { cwd: "/", env: { PATH: process.env["PATH"] ?? "" } });
    expect(child.exitCode).toBe(2);
    expect(child.stderr.toString()).toContain(`usage: ${file} RUN-FILE [--undo]`);
  });
});

describe("run by hand over a run file that lacks its facts,", () => {
  useServer();

  test.each(filesIn("steps"))(
    "%s ends, and tells which",
    async (file) => {
      const app = await makeApp();
      const context = runFile(app.own, "1-aaaaaaa");
      await create(context, { app: app.app, base: app.base, server: app.server, kind: "deploy" });
      const env = { PATH: process.env["PATH"] ?? "", DP_ROOT: process.env["DP_ROOT"] ?? "" };
      const child = Bun.spawnSync([join(project, "steps", file), context], { cwd: "/", env, timeout: 30_000 });
      const needs = Object.keys((await load<Step<Facts, Facts>>(join("steps", file))).needs);
      const isComplete = needs.every((need) => ["app", "base", "server", "kind"].includes(need));
      expect(child.exitCode).toBe(isComplete ? 0 : 4);
      if (!isComplete) expect(child.stderr.toString()).toMatch(/dp: fact "\w+" is missing/);
    },
    60_000,
  );
});

describe.each(kinds)("the order of a %s", (kind) => {
  test("names steps that there are, each once", () => {
    const names = PIPELINES[kind];
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(filesIn("steps")).toContain(`${name}.ts`);
  });

  test("is given facts of the vocabulary", () => {
    for (const name of GIVEN[kind]) expect(Object.keys(vocabulary)).toContain(name);
  });
});

/** The members of an interface, and what each is. */
type Members<T> = Readonly<Record<keyof T, "string" | "function">>;

const APP_TYPE: Omit<
  Members<Required<AppType>>,
  | "manager"
  | "build"
  | "hasBuild"
  | "listenVariables"
  | "inspect"
  | "store"
  | "requireHost"
  | "runHook"
  | "endHook"
  | "runOnce"
  | "mountsShared"
  | "takesSettingsAtBuild"
  | "settings"
  | "packages"
  | "runtimes"
  | "wishedRuntime"
  | "builtElsewhere"
  | "adopt"
> = {
  ...{ name: "string", summary: "string", detect: "function", install: "function" },
  ...{ command: "function", prune: "function" },
};
const MANAGER: Omit<
  Members<Required<Manager>>,
  | "adopt"
  | "drift"
  | "extend"
  | "owner"
  | "ownNetwork"
  | "expectMany"
  | "isPrepared"
  | "prepare"
  | "preparesLong"
  | "prune"
  | "published"
  | "remove"
  | "requireStartable"
  | "settle"
  | "states"
  | "types"
  | "unprepare"
> = {
  ...{ name: "string", summary: "string", unavailable: "function", setup: "function", start: "function" },
  ...{ stop: "function", status: "function", pids: "function", instances: "function", enable: "function" },
  ...{ enabled: "function", forget: "function", logs: "function" },
};

describe.each([
  ["app type", "lib/apps", APP_TYPE],
  ["manager", "lib/managers", MANAGER],
] as const)("every %s", (_, folder, members: Readonly<Record<string, string>>) => {
  test.each(filesIn(folder))("%s has the members of its contract, and its file's name", async (file) => {
    const found = await load<Record<string, unknown>>(join(folder, file));
    for (const [member, kind] of Object.entries(members))
      expect([member, typeof found[member]]).toEqual([member, kind]);
    expect(found["name"]).toBe(parse(file).name);
    expect(String(found["summary"])).toMatch(/^\S[^\n]{3,79}$/);
  });
});

test.each(filesIn("lib/doctor"))("the check %s says what it looks at, and looks", async (file) => {
  const check = await load<Check>(join("lib/doctor", file));
  expect(check.summary).toMatch(/^\S[^\n]{3,79}[^.\n]$/);
  expect([typeof check.app, typeof check.server]).toContain("function");
});

test.each(filesIn("lib/apps"))("the app type %s does not take an empty folder for its own", async (file) => {
  const empty = { list: async () => [], read: async () => null, link: async () => null };
  expect(await (await load<AppType>(join("lib/apps", file))).detect(empty)).toBeNull();
});

describe("what config files are told by their folders", () => {
  test("no app type, manager or front has the name of a key of the core's, or of another with settings", async () => {
    const { apps, managers } = await serverKinds();
    const none = { apps: {}, managers: {}, fronts: {} };
    const core = [...Object.keys(deploySchema({}).entries), ...Object.keys(serverSchema(none).entries)];
    const owners = [...new Set([...Object.keys(ownKeys(apps, "deploy")), ...Object.keys(ownKeys(apps, "server"))])];
    const all = [...core, ...owners, ...Object.keys(ownKeys(managers, "server"))];
    for (const name of Object.keys(apps)) expect(core).not.toContain(name);
    expect(new Set(all).size - new Set(core).size).toBe(all.length - core.length);
  });

  test("each kind has one that is usual", async () => {
    const { apps, managers, fronts } = await serverKinds();
    const all: Declared<{ isUsual?: boolean }>[] = [apps, managers, fronts];
    for (const kind of all) expect(Object.values(kind).filter(({ isUsual }) => isUsual)).toHaveLength(1);
  });

  test("a front that says that it holds the port does", async () => {
    for (const [name, { holdsPort = true }] of Object.entries((await serverKinds()).fronts))
      expect([name, (await front(name)).holdsPort]).toEqual([name, holdsPort]);
  });
});

describe("dp --help", () => {
  const help = Bun.spawnSync([...dp, "--help"], { cwd: "/", env: { PATH: process.env["PATH"] ?? "" } });
  const text = help.stdout.toString();
  const list = /\n\nEvery day:\n([\s\S]*?)\n\nOptions:/.exec(text)?.[1] ?? "";
  const commands = [...list.matchAll(/^ {2}([a-z][a-z-]*)/gm)].map(([, name]) => name!);

  test("lists the commands, and hides those that dp calls itself", () => {
    expect(help.exitCode).toBe(0);
    for (const name of [
      "init",
      "setup",
      "deploy",
      "rollback",
      "releases",
      "status",
      "logs",
      "step",
      "resume",
      "begin",
      "fact",
      "plan",
      "demo",
      "doctor",
      "selftest",
    ])
      expect(commands).toContain(name);
    for (const name of ["work", "hook"]) expect(commands).not.toContain(name);
  });

  test.each(commands)("dp %s --help says how it is used", async (name) => {
    const { code, out, err } = await runDp([name, "--help"]);
    expect([code, err]).toEqual([0, ""]);
    expect(out).toContain(`dp ${name}`);
    expect(out).not.toContain("(internal)");
  });
});

describe("templates", () => {
  const all = [...new Bun.Glob("**/*").scanSync({ cwd: join(project, "templates"), dot: true })].sort();
  const code = ["lib/**/*.ts", "steps/*.ts", "install.sh", "test/support/schemas.ts"]
    .flatMap((pattern) => [...new Bun.Glob(pattern).scanSync({ cwd: project })])
    .map((file) => readFileSync(join(project, file), "utf8"))
    .join("\n");

  test.each(all)("%s is used", (path) => {
    const { base, name } = parse(path);
    const [folder] = path.split("/");
    // An example is used as a whole folder; a hook's template by its name, a demo's file by a built path.
    const isExample = path.startsWith("apps/");
    const words = isExample ? ["apps/"] : [path, base, `"${name}"`, `${folder}/\${`];
    expect(words.some((word) => code.includes(word))).toBe(true);
  });

  test.each(readdirSync(join(project, "templates/apps")))("the example %s is offered", async (name) => {
    expect((await runDp(["init", "--help"])).out).toContain(name);
  });
});
