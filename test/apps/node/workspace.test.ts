// An app in a folder of a workspace: the workspace's lock file counts, with every package manager.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import node from "../../../lib/apps/node.ts";
import { readProject } from "../../../lib/apps/node/project.ts";
import { findWorkspace, isMember } from "../../../lib/apps/node/workspace.ts";
import type { Place } from "../../../lib/contracts/app-type.ts";
import { subtree } from "../../../lib/git/tree.ts";
import { after, cleanUp, LOCKS, memoryTree, recorder, release, scratch, told, type Kind } from "./support.ts";

// Packages come over the network.
setDefaultTimeout(240_000);
afterAll(cleanUp);

const json = (value: unknown) => `${JSON.stringify(value)}\n`;
const LINK: Record<Kind, string> = {
  npm: "*",
  yarn: "1.0.0",
  pnpm: "workspace:*",
  berry: "workspace:*",
  bun: "workspace:*",
};
const BUILD = "node -e \"require('is-number'); require('fs').writeFileSync('built', '')\"";

/** A workspace with an app, and a package of its own that the app needs. */
async function workspace(kind: Kind, ms = "2.1.3"): Promise<Record<string, string>> {
  const folder = join(import.meta.dir, "../../fixtures/node-workspace", kind);
  const top = { name: "top", version: "1.0.0", private: true };
  const dependencies = { ms, shared: LINK[kind] };
  const scripts = { start: "node server.js", build: BUILD };
  return {
    "package.json": json(kind === "pnpm" ? top : { ...top, workspaces: ["apps/*", "packages/*"] }),
    ...(kind === "pnpm" ? { "pnpm-workspace.yaml": "packages:\n  - apps/*\n  - packages/*\n" } : {}),
    [LOCKS[kind]]: await Bun.file(join(folder, LOCKS[kind])).text(),
    "apps/api/package.json": json({
      ...{ name: "api", version: "1.0.0", private: true, scripts, dependencies },
      devDependencies: { "is-number": "7.0.0" },
    }),
    "packages/shared/package.json": json({ name: "shared", version: "1.0.0", private: true }),
    "packages/shared/index.js": "module.exports = 'of the workspace'",
  };
}

/** The place of a release whose app is in a folder. */
async function member(files: Record<string, string>, root = "apps/api", options: Partial<Place> = {}): Promise<Place> {
  const place = await release(files, options);
  const commit = memoryTree(files);
  const config = { ...place.config, root };
  return { ...place, folder: join(place.release, root), tree: subtree(commit, root), commit, config };
}

const SAYS = 'node -p \'require("ms")(60000) + " " + require("shared")\'';
const KINDS = Object.keys(LOCKS) as Kind[];

describe.each(KINDS)("with %s", (kind) => {
  // One app: a package manager that has to be fetched is fetched once.
  let base = "";
  beforeAll(async () => {
    base = await scratch();
  });

  test("installs are locked, the build has what it needs, and the next release installs nothing", async () => {
    const files = await workspace(kind);
    const first = await member(files, "apps/api", { base });
    const said = recorder();
    const runtime = await node.install(first, said.io);
    expect(said.infos.at(-1)).toStartWith(`installing ${LOCKS[kind]} of the workspace with `);
    expect(said.warnings).toEqual([]);
    expect(runtime.path.slice(0, 2)).toEqual([
      join(first.folder, "node_modules/.bin"),
      join(first.release, "node_modules/.bin"),
    ]);
    await node.build!(after(first, runtime), said.io);
    expect(await readdir(first.folder)).toContain("built");
    expect(await told(first, runtime, SAYS)).toBe("1m of the workspace");
    expect(await node.command(first, runtime)).toBe("node server.js");

    const second = await member(files, "apps/api", { base, id: "2-bbbbbbb" });
    const two = recorder();
    const same = await node.install(second, two.io);
    expect(two.infos).toEqual([expect.stringMatching(/^dependencies unchanged \(modules [0-9a-f]{16}\)/)]);
    expect([same.dependencies, await told(second, same, SAYS)]).toEqual([runtime.dependencies, "1m of the workspace"]);
  });

  test("a lock that is behind the app's package.json is refused, with what to type", async () => {
    const place = await member(await workspace(kind, "2.1.2"), "apps/api", { base, id: "3-ccccccc" });
    await expect(node.install(place, recorder().io)).rejects.toMatchObject({
      // yarn 1 itself does not look.
      exit: kind === "yarn" ? "config" : "command",
      hint: `${kind === "berry" ? "yarn" : kind} install, commit ${LOCKS[kind]}, push`,
    });
  });
});

describe("which lock file counts", () => {
  const top = json({ name: "top", private: true, workspaces: { packages: ["./apps/*/", "!apps/old"] } });
  const app = { "apps/api/package.json": json({ name: "api", dependencies: { ms: "2.1.3" } }) };
  const of = async (files: Record<string, string>, root = "apps/api") => {
    const place = await member({ ...app, ...files }, root);
    const { manager, workspace: found } = await readProject(place);
    return [found?.path, manager.name, manager.lock?.path];
  };

  test.each<[string, Record<string, string>, string, (string | undefined)[]]>([
    [
      "that of the workspace",
      { "package.json": top, "package-lock.json": "{}" },
      "apps/api",
      ["", "npm", "package-lock.json"],
    ],
    [
      "of the nearest workspace",
      { "package.json": top, "apps/package.json": json({ workspaces: ["api"] }), "apps/yarn.lock": "" },
      "apps/api",
      ["apps", "yarn", "yarn.lock"],
    ],
    [
      "its own, when nobody above has one",
      { "package.json": top, "apps/api/package-lock.json": "{}" },
      "apps/api",
      [undefined, "npm", "package-lock.json"],
    ],
    [
      "the workspace's before its own",
      { "package.json": top, "package-lock.json": "{}", "apps/api/yarn.lock": "" },
      "apps/api",
      ["", "npm", "package-lock.json"],
    ],
    [
      "its own, when pnpm's at the top has no such member",
      {
        "package.json": "{}",
        "pnpm-workspace.yaml": "packages: ['**']",
        "pnpm-lock.yaml": "importers:\n\n  .: {}\n",
        "apps/api/pnpm-lock.yaml": "",
      },
      "apps/api",
      [undefined, "pnpm", "pnpm-lock.yaml"],
    ],
    [
      "its own, when it is no member",
      { "package.json": top, "package-lock.json": "{}" },
      "apps/old",
      [undefined, "npm", undefined],
    ],
    [
      "its own, below another folder's package",
      { "package.json": "{}", "package-lock.json": "{}" },
      "apps/api",
      [undefined, "npm", undefined],
    ],
    [
      "none at all: packageManager of the top",
      { "package.json": json({ workspaces: ["apps/api"], packageManager: "pnpm@10.1.0" }) },
      "apps/api",
      ["", "pnpm", undefined],
    ],
  ])("%s", async (_, files, root, expected) => {
    expect(await of(files, root)).toEqual(expected);
  });

  test("a pnpm-workspace.yaml that is none is named", async () => {
    const place = await member({ ...app, "package.json": "{}", "pnpm-workspace.yaml": "packages: [" });
    await expect(findWorkspace(place)).rejects.toThrow(/^pnpm-workspace\.yaml: not valid YAML/);
  });

  test("node is what the app wishes, else what the workspace does", async () => {
    const files = {
      ...app,
      "package.json": json({ workspaces: ["apps/*"], engines: { node: ">=18" } }),
      ".nvmrc": "20\n",
    };
    const wishes = async (more: Record<string, string>) =>
      (await readProject(await member({ ...files, ...more }))).wishes.map(({ text }) => text);
    expect(await wishes({})).toEqual(["20", ">=18"]);
    expect(await wishes({ "apps/api/.node-version": "22\n" })).toEqual(["22", ">=18"]);
  });

  test("without any lock file the advice is true: what is typed writes that of the workspace", async () => {
    const place = await member({ ...app, "package.json": top });
    const said = recorder();
    await node.install(place, said.io);
    expect(said.warnings).toEqual([expect.stringMatching(/^no lock file: .*; npm install, and commit its lock file$/)]);
    expect(await told(place, { path: [], env: {}, dependencies: null }, "node -p 'require(\"ms\")(1000)'")).toBe("1s");
    const typed = recorder().io.run(["npm", "install", "--no-audit", "--no-fund"], {
      cwd: place.folder,
      env: place.env,
    });
    await typed;
    expect(await readdir(place.release)).toContain("package-lock.json");
    expect(await readdir(place.folder)).not.toContain("package-lock.json");
  });
});

test.each<[string, string[], boolean]>([
  ["apps/api", ["apps/*"], true],
  ["apps/api", ["./apps/*/"], true],
  ["apps/api", ["apps/**"], true],
  ["apps/api", ["apps"], false],
  ["apps/api", ["packages/*"], false],
  ["apps/api/deep", ["apps/*"], false],
  ["apps/api", ["apps/*", "!apps/api"], false],
  ["apps/api", ["!apps/x", "apps/*"], true],
  ["apps/api", [], false],
])("%s in %j: %p", (folder, patterns, expected) => {
  expect(isMember(folder, patterns)).toBe(expected);
});
