// An app in a folder of a workspace of uv: the lock at the workspace's top is installed exactly.
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import python from "../../../lib/apps/python.ts";
import { findUvWorkspace } from "../../../lib/apps/python/uv-workspace.ts";
import type { Place } from "../../../lib/contracts/app-type.ts";
import { folderTree } from "../../../lib/git/tree.ts";
import { run } from "../../../lib/host/run.ts";
import {
  cleanUp,
  handedOn,
  memoryTree,
  pythonPath,
  recorder,
  release,
  scratch,
  uvFolder,
  writeFiles,
} from "./support.ts";

// Packages come over the network.
setDefaultTimeout(240_000);
afterAll(cleanUp);

const TOP = '[tool.uv.workspace]\nmembers = ["apps/*", "libs/*"]\nexclude = ["apps/old"]\n';
const BUILD = '[build-system]\nrequires = ["flit_core==3.12.0"]\nbuild-backend = "flit_core.buildapi"\n';
const project = (name: string, dependencies: string, rest = "") =>
  `[project]\nname = "${name}"\nversion = "1"\ndescription = "one"\nrequires-python = ">=3.9"\ndependencies = [${dependencies}]\n${rest}`;
const FILES = {
  "pyproject.toml": TOP,
  "apps/api/pyproject.toml": project(
    "api",
    '"itsdangerous<2.2", "shared"',
    "[tool.uv.sources]\nshared = { workspace = true }\n",
  ),
  "libs/shared/pyproject.toml": project("shared", "", BUILD),
  "libs/shared/shared/__init__.py": "SAYS = 'of the workspace'\n",
};

const uvOf = () => uvFolder(async () => (await run(["python3", "-c", "import sys; print(sys.executable)"])).text);

async function member(files: Record<string, string>, root = "apps/api"): Promise<Place> {
  const place = await release(files);
  const config = { ...place.config, root };
  const folder = join(place.release, root);
  return { ...place, config, folder, tree: folderTree(folder), commit: folderTree(place.release) };
}

test("its lock counts, members are linked, and only uv can do it", async () => {
  const uv = await uvOf();
  const work = await scratch();
  await writeFiles(work, FILES);
  const env = { ...handedOn(), PATH: `${uv}:${await pythonPath()}`, HOME: work };
  await run(["uv", "lock", "--quiet"], { env, cwd: work, timeout: 120_000 });
  const lock = await readFile(join(work, "uv.lock"), "utf8");
  expect(lock).toContain('name = "itsdangerous"\nversion = "2.1.2"');

  const place = await member({ ...FILES, "uv.lock": lock });
  const without = python.install({ ...place, env: { ...place.env, PATH: await pythonPath() } }, recorder().io);
  await expect(without).rejects.toMatchObject({
    exit: "host",
    message: expect.stringContaining("uv.lock is that of a workspace, which only uv can install"),
  });
  place.env["PATH"] = env.PATH;
  const said = recorder();
  const { dependencies } = await python.install(place, said.io);
  expect(said.infos).toEqual([expect.stringMatching(/^installing uv\.lock with uv, python 3\./)]);
  expect(dependencies).toEndWith("/release-1-aaaaaaa");
  const code = "import importlib.metadata as m, shared; print(m.version('itsdangerous'), shared.SAYS)";
  expect((await run([`${dependencies}/bin/python`, "-c", code])).text).toBe("2.1.2 of the workspace");
});

test.each<[string, string, Record<string, string>, boolean]>([
  ["a member", "apps/api", { "pyproject.toml": TOP, "uv.lock": "" }, true],
  ["a member of one that is no top", "a/apps/api", { "a/pyproject.toml": TOP, "a/uv.lock": "" }, true],
  ["left out", "apps/old", { "pyproject.toml": TOP, "uv.lock": "" }, false],
  ["in another folder", "web/api", { "pyproject.toml": TOP, "uv.lock": "" }, false],
  ["without a lock", "apps/api", { "pyproject.toml": TOP }, false],
  [
    "below a project that is no workspace",
    "apps/api",
    { "pyproject.toml": "[project]\nname = 'a'\n", "uv.lock": "" },
    false,
  ],
])("%s: %s", async (_, root, files, isFound) => {
  const config = { root } as Place["config"];
  expect((await findUvWorkspace({ config, commit: memoryTree(files) })) !== null).toBe(isFound);
});
