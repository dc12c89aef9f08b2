// Files of Git LFS: fetched by the real git-lfs from a real LFS server; without one, refused with the words to type.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { lstatSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { begin } from "../../lib/deploy/begin.ts";
import type { DpError } from "../../lib/errors.ts";
import { commit, deployYml, makeApp, runSteps, useServer, type App, type File } from "../support/core-server.ts";
import { startForge, type Forge } from "./support.ts";

const server = useServer();
const hasLfs = Bun.which("git-lfs") !== null;
if (!hasLfs) console.warn("git-lfs is not installed: what fetches with it is skipped");
let app: App;
let forge: Forge;
beforeAll(async () => {
  app = await makeApp();
  forge = await startForge();
});
afterAll(() => forge.stop());

const ATTRIBUTES = "*.bin filter=lfs diff=lfs merge=lfs -text\n";

async function begun(files: Record<string, File>) {
  const sha = await commit(app.repo, { "deploy.yml": deployYml(app.app), ".gitattributes": ATTRIBUTES, ...files });
  const { id, context } = await begin(app.own, sha);
  return { context, release: join(app.releases, id) };
}
const config = () => `[lfs]\n\turl = ${forge.http}/info/lfs\n`;
const refusal = (done: Promise<unknown>) =>
  done.then(
    () => null,
    (error: unknown) => error as DpError,
  );

describe.skipIf(!hasLfs)("with git-lfs", () => {
  test("pointers become their files, from the server that .lfsconfig names", async () => {
    const { context, release } = await begun({
      ".lfsconfig": config(),
      "a.bin": forge.lfs("the first"),
      "deep/b c.bin": { executable: forge.lfs("the second") },
      "talk.md": "version https://git-lfs.github.com/spec/v1 is what a pointer begins with",
    });
    const said = await runSteps(context, "read", "clone");
    expect(said.join("\n")).toContain("2 LFS files");
    expect(readFileSync(join(release, "a.bin"), "utf8")).toBe("the first");
    expect(readFileSync(join(release, "deep/b c.bin"), "utf8")).toBe("the second");
    expect(lstatSync(join(release, "deep/b c.bin")).mode & 0o100).toBe(0o100);
    expect(readFileSync(join(release, "talk.md"), "utf8")).toStartWith("version https");
    expect(() => lstatSync(join(release, ".git"))).toThrow();
    await runSteps(context, "clone");
    expect(readFileSync(join(release, "a.bin"), "utf8")).toBe("the first");
  });

  test("or from that of the origin, dp setup APP URL", async () => {
    Bun.spawnSync(["git", "--git-dir", app.repo, "config", "remote.origin.url", `${forge.http}/group/app.git`]);
    try {
      const { context, release } = await begun({ "a.bin": forge.lfs("of the origin") });
      await runSteps(context, "read", "clone");
      expect(readFileSync(join(release, "a.bin"), "utf8")).toBe("of the origin");
      expect(forge.asked).toContain("POST /group/app.git/info/lfs/objects/batch");
    } finally {
      Bun.spawnSync(["git", "--git-dir", app.repo, "config", "--unset-all", "remote.origin.url"]);
    }
  });

  test("those of a submodule, too", async () => {
    const sha = await forge.commit("with-lfs", {
      ".gitattributes": ATTRIBUTES,
      ".lfsconfig": config(),
      "s.bin": forge.lfs("of the submodule"),
    });
    const { context, release } = await begun({
      ".gitmodules": `[submodule "s"]\n\tpath = s\n\turl = ${forge.git}/with-lfs\n`,
      s: { submodule: sha },
    });
    await runSteps(context, "read", "clone");
    expect(readFileSync(join(release, "s/s.bin"), "utf8")).toBe("of the submodule");
  });

  test("an object that the server lacks is git-lfs's failure, with its words", async () => {
    const { context } = await begun({ ".lfsconfig": config(), "gone.bin": forge.lfs("never pushed", false) });
    await runSteps(context, "read");
    const error = await refusal(runSteps(context, "clone"));
    expect(error?.exit).toBe("command");
    expect(error?.message).toContain("gone.bin");
    expect(error?.lines.join("\n")).toContain("there is no such object");
    expect(error?.hint).toContain("git lfs push --all");
  });

  test("a file that .lfsconfig includes is not read: it says nothing", async () => {
    writeFileSync(server.path("included"), config());
    const include = `[include]\n\tpath = ${server.path("included")}\n`;
    const { context } = await begun({ ".lfsconfig": include, "a.bin": forge.lfs("a") });
    expect((await refusal(runSteps(context, "read")))?.lines.join("\n")).toContain("which a push does not contain");
  });

  test("nothing that says where they are: refused before anything is changed", async () => {
    const { context } = await begun({ "a.bin": forge.lfs("a"), "b.bin": forge.lfs("b") });
    const error = await refusal(runSteps(context, "read"));
    expect(error?.exit).toBe("config");
    expect(error?.lines.join("\n")).toContain("a.bin and 1 more: stored in Git LFS, which a push does not contain");
    expect(error?.lines.join("\n")).toContain("git config -f .lfsconfig lfs.url URL");
  });
});

test("files that only look like pointers need nothing", async () => {
  const { context } = await begun({ ".gitattributes": "*.txt text\n", "a.bin": forge.lfs("a") });
  await runSteps(context, "read", "clone");
});

test("a server without git-lfs is told so, with the words to type", async () => {
  const path = process.env["PATH"];
  const { context } = await begun({ ".lfsconfig": config(), "a.bin": forge.lfs("a") });
  const bin = server.path("no-lfs");
  Bun.spawnSync(["mkdir", bin]);
  Bun.spawnSync(["ln", "-s", Bun.which("git")!, bin]);
  process.env["PATH"] = bin;
  process.env["GIT_EXEC_PATH"] = "/usr/lib/git-core";
  try {
    const error = await refusal(runSteps(context, "read"));
    expect([error?.exit, error?.hint]).toEqual(["host", "apt install git-lfs"]);
    expect(error?.message).toContain("a.bin: stored in Git LFS, but this server has no git-lfs");
  } finally {
    process.env["PATH"] = path;
    delete process.env["GIT_EXEC_PATH"];
  }
});
