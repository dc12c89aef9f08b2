// Submodules: fetched from where .gitmodules says, at exactly the commit that is named, as the app's user; else refused.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { begin } from "../../lib/deploy/begin.ts";
import type { DpError } from "../../lib/errors.ts";
import { fetchEnv, ownSource } from "../../lib/git/source.ts";
import { layOutSubmodules, submodulesOf } from "../../lib/git/submodules.ts";
import { plainEnv } from "../../lib/host/run.ts";
import { idsOf } from "../../lib/host/users.ts";
import {
  commit,
  deployYml,
  giveFacts,
  io,
  makeApp,
  runSteps,
  someConfig,
  undo,
  useServer,
  type App,
  type File,
} from "../support/core-server.ts";
import { startForge, type Forge } from "./support.ts";

const server = useServer();
let app: App;
let forge: Forge;
beforeAll(async () => {
  app = await makeApp();
  forge = await startForge();
});
afterAll(() => forge.stop());

/** .gitmodules of path -> url. */
const modules = (urls: Record<string, string>) =>
  Object.entries(urls)
    .map(([path, url]) => `[submodule "${path}"]\n\tpath = ${path}\n\turl = ${url}\n`)
    .join("");

async function begun(files: Record<string, File>) {
  const sha = await commit(app.repo, { "deploy.yml": deployYml(app.app), ...files });
  const { id, context } = await begin(app.own, sha);
  await giveFacts(context, { config: someConfig(app.app) });
  return { sha, context, release: join(app.releases, id) };
}
const refusal = (done: Promise<unknown>) =>
  done.then(
    () => null,
    (error: unknown) => error as DpError,
  );
const setOrigin = (url: string | null) => {
  const args = url === null ? ["--unset-all", "remote.origin.url"] : ["remote.origin.url", url];
  Bun.spawnSync(["git", "--git-dir", app.repo, "config", ...args]);
};

test.each(["git", "http"] as const)("by %s, at the commit that is named, not the newest", async (by) => {
  const sha = await forge.commit(`lib-${by}`, { "lib.txt": "named", "sub/x": { executable: "#!/bin/sh\n" } });
  await forge.commit(`lib-${by}`, { "lib.txt": "newest" });
  const { context, release } = await begun({
    ".gitmodules": modules({ "vendor/lib": `${forge[by]}/lib-${by}` }),
    "vendor/lib": { submodule: sha },
  });
  const said = await runSteps(context, "read", "clone");
  expect(said.join("\n")).toContain(`submodule vendor/lib at ${sha.slice(0, 7)}`);
  expect(readFileSync(join(release, "vendor/lib/lib.txt"), "utf8")).toBe("named");
  expect(lstatSync(join(release, "vendor/lib/sub/x")).mode & 0o100).toBe(0o100);
  expect(existsSync(join(release, "vendor/lib/.git"))).toBe(false);
  await runSteps(context, "clone");
  expect(readFileSync(join(release, "vendor/lib/lib.txt"), "utf8")).toBe("named");
});

test("those of submodules too, relative to where the submodule is", async () => {
  const inner = await forge.commit("inner", { i: "inner" });
  const outer = await forge.commit("outer", {
    ".gitmodules": modules({ deep: "../inner" }),
    deep: { submodule: inner },
  });
  const { context, release } = await begun({
    ".gitmodules": modules({ out: `${forge.git}/outer` }),
    out: { submodule: outer },
  });
  await runSteps(context, "read", "clone");
  expect(readFileSync(join(release, "out/deep/i"), "utf8")).toBe("inner");
});

test("a relative address is relative to the origin of dp setup APP URL, and refused without one", async () => {
  const sha = await forge.commit("beside", { x: "beside" });
  const files: Record<string, File> = { ".gitmodules": modules({ s: "../beside" }), s: { submodule: sha } };
  const { context } = await begun(files);
  const error = await refusal(runSteps(context, "read"));
  expect(error?.exit).toBe("config");
  expect(error?.lines.join("\n")).toContain('s: a submodule from "../beside", relative to');
  expect(error?.lines.join("\n")).toContain("dp setup APP URL");
  setOrigin(`${forge.http}/app.git`);
  try {
    const again = await begun(files);
    await runSteps(again.context, "read", "clone");
    expect(readFileSync(join(again.release, "s/x"), "utf8")).toBe("beside");
  } finally {
    setOrigin(null);
  }
});

test("the file that .gitmodules includes is not read", async () => {
  const file = server.path("included");
  writeFileSync(file, modules({ s: "https://example.com/s.git" }));
  const sha = await commit(app.repo, {
    ".gitmodules": `[include]\n\tpath = ${file}\n`,
    s: { submodule: "1".repeat(40) },
  });
  expect(await submodulesOf(await ownSource(app.repo, sha))).toMatchObject([{ path: "s", named: null, url: null }]);
});

describe("refused before anything is fetched:", () => {
  test.each([
    ["a file of the server", "file:///etc"],
    ["a folder of the server", "/var/repos/other.git"],
    ["a program", "ext::touch /tmp/x"],
    ["an option", "--upload-pack=touch /tmp/x"],
    ["an option of ssh", "ssh://-oProxyCommand=touch/x"],
  ])("%s", async (_, url) => {
    const { context } = await begun({ ".gitmodules": modules({ s: url }), s: { submodule: "1".repeat(40) } });
    const error = await refusal(runSteps(context, "read"));
    expect(error?.exit).toBe("config");
    expect(error?.lines.join("\n")).toContain("https, http, git and ssh only");
    // Whoever skips read is refused as well.
    expect((await refusal(runSteps(context, "clone")))?.message).toContain("the submodule s cannot be fetched");
  });

  test("one that .gitmodules does not know", async () => {
    const { context } = await begun({ s: { submodule: "1".repeat(40) } });
    expect((await refusal(runSteps(context, "read")))?.lines.join()).toContain("s: a submodule without a url");
  });
});

describe("a refusal names the submodule, its address and what is missing:", () => {
  test("a commit that was never pushed there", async () => {
    await forge.commit("old", { x: "x" });
    const { context } = await begun({
      ".gitmodules": modules({ s: `${forge.git}/old` }),
      s: { submodule: "1".repeat(40) },
    });
    await runSteps(context, "read");
    const error = await refusal(runSteps(context, "clone"));
    expect(error?.exit).toBe("command");
    expect(error?.message).toBe(`the submodule s cannot be fetched from ${forge.git}/old`);
    expect(error?.lines.join("\n")).toContain(`it has no commit ${"1".repeat(40)}: push it there`);
    await undo("clone", context);
  });

  test("a repository that is not there", async () => {
    const { context } = await begun({
      ".gitmodules": modules({ s: `${forge.http}/nothing` }),
      s: { submodule: "1".repeat(40) },
    });
    const error = await refusal(runSteps(context, "clone"));
    expect(error?.message).toContain(`${forge.http}/nothing`);
    expect(error?.lines.join("\n")).toContain("not found");
  });
});

test("no redirect leads to another protocol, and none of the submodule's hooks or filters run", async () => {
  const marker = server.path("filter-ran");
  const sha = await forge.commit("filtered", { ".gitattributes": "* filter=lfs\n", x: "plain" });
  const { context, release } = await begun({
    ".gitmodules": modules({ s: `${forge.git}/filtered` }),
    s: { submodule: sha },
    ".gitattributes": "* filter=lfs\n",
    y: "plain",
  });
  const settings = server.path("gitconfig");
  await Bun.write(settings, `[filter "lfs"]\n\tsmudge = "touch ${marker}; cat"\n\trequired = true\n`);
  process.env["GIT_CONFIG_SYSTEM"] = settings;
  try {
    await runSteps(context, "read", "clone");
  } finally {
    delete process.env["GIT_CONFIG_SYSTEM"];
  }
  expect(readFileSync(join(release, "s/x"), "utf8")).toBe("plain");
  expect(readFileSync(join(release, "y"), "utf8")).toBe("plain");
  expect(existsSync(marker)).toBe(false);
});

test.skipIf(process.getuid?.() !== 0)("everything of it is done by the app's user", async () => {
  const sha = await forge.commit("owned", { x: "x" });
  const top = await commit(app.repo, { ".gitmodules": modules({ s: `${forge.git}/owned` }), s: { submodule: sha } });
  const ids = await idsOf("nobody");
  const folder = join(forge.folder, "release");
  for (const path of [folder, join(folder, "s")]) {
    mkdirSync(path);
    chmodSync(path, 0o755);
    chownSync(path, ...ids);
  }
  const fetcher = { user: "nobody", env: fetchEnv({ ...plainEnv(), HOME: "/nonexistent" }), timeout: 60_000 };
  await layOutSubmodules(await ownSource(app.repo, top), folder, fetcher, io);
  expect(lstatSync(join(folder, "s/x")).uid).toBe(ids[0]);
});
