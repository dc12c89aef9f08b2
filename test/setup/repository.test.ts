// The bare repository of an app: pushed to, with dp's hooks, and nobody else's taken away.
import { beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { DpError } from "../../lib/errors.ts";
import type { NamedApp } from "../../lib/contracts/app.ts";
import { namedApp } from "../../lib/release/named-app.ts";
import { repositoryDrift, setupRepository } from "../../lib/setup/repository.ts";
import { plainEnv } from "../../lib/host/run.ts";
import { io, useServer } from "../support/core-server.ts";

const server = useServer();
/** In the order in which git runs them. */
const HOOKS = ["pre-receive", "update", "post-receive"];
let app: NamedApp;
let repo: string;
let count = 0;
beforeEach(() => {
  app = namedApp(`repo${++count}`);
  repo = app.places.repo;
});
const git = (...words: string[]) =>
  Bun.spawnSync(["git", "--git-dir", repo, ...words], { env: plainEnv() })
    .stdout.toString()
    .trim();
const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error as DpError,
  );

test("it is made once, whole, with hooks that can run", async () => {
  const changes = await setupRepository(app, "main", io);
  expect(changes).toEqual([`made the repository ${repo}`, ...HOOKS.map((hook) => `wrote the hook ${hook}`)]);
  expect(await setupRepository(app, "main", io)).toEqual([]);
  expect(git("rev-parse", "--is-bare-repository")).toBe("true");
  expect(git("symbolic-ref", "HEAD")).toBe("refs/heads/main");
  expect(
    ["receive.advertisePushOptions", "receive.fsckObjects", "transfer.hideRefs"].map((name) => git("config", name)),
  ).toEqual(["true", "true", "refs/dp"]);
  for (const hook of HOOKS) {
    expect(statSync(join(repo, "hooks", hook)).mode & 0o777).toBe(0o755);
    expect(Bun.spawnSync(["sh", "-n", join(repo, "hooks", hook)]).exitCode).toBe(0);
    expect(readFileSync(join(repo, "hooks", hook), "utf8")).toContain(`DP_ROOT='${server.path()}'`);
  }
});

test("another branch, a changed setting and a lost run bit are put right", async () => {
  await setupRepository(app, "main", io);
  git("config", "receive.fsckObjects", "false");
  chmodSync(join(repo, "hooks/update"), 0o644);
  expect(await setupRepository(app, "live", io)).toEqual([
    `set receive.fsckObjects in ${repo}`,
    "the repository's branch is now live",
  ]);
  expect(git("symbolic-ref", "HEAD")).toBe("refs/heads/live");
  expect(git("config", "receive.fsckObjects")).toBe("true");
  expect(statSync(join(repo, "hooks/update")).mode & 0o777).toBe(0o755);
});

describe("hooks:", () => {
  test("dp's own of before is replaced", async () => {
    await setupRepository(app, "main", io);
    writeFileSync(join(repo, "hooks/update"), "#!/bin/sh\n# written by dp: an older one\n");
    expect(await setupRepository(app, "main", io)).toEqual(["changed the hook update"]);
  });

  test("somebody else's is refused and stays", async () => {
    await setupRepository(app, "main", io);
    writeFileSync(join(repo, "hooks/update"), "#!/bin/sh\necho mine\n");
    const error = await errorOf(setupRepository(app, "main", io));
    expect(error?.exit).toBe("host");
    expect(error?.hint).toContain(`mv ${join(repo, "hooks/update")}`);
    expect(readFileSync(join(repo, "hooks/update"), "utf8")).toContain("echo mine");
  });

  test("a repository without hooks folder gets one", async () => {
    await setupRepository(app, "main", io);
    rmSync(join(repo, "hooks"), { recursive: true });
    expect(await setupRepository(app, "main", io)).toEqual(HOOKS.map((hook) => `wrote the hook ${hook}`));
  });
});

test("what a killed setup left is not taken for a repository", async () => {
  mkdirSync(join(`${repo}.tmp`, "objects"), { recursive: true });
  writeFileSync(join(`${repo}.tmp`, "HEAD"), "half");
  await setupRepository(app, "main", io);
  expect(git("symbolic-ref", "HEAD")).toBe("refs/heads/main");
  expect(existsSync(`${repo}.tmp`)).toBe(false);
});

test("a folder that is no repository is refused and stays", async () => {
  mkdirSync(repo, { recursive: true });
  writeFileSync(join(repo, "notes"), "kept");
  const error = await errorOf(setupRepository(app, "main", io));
  expect([error?.exit, error?.hint]).toEqual(["host", `mv ${repo} ${repo}.old`]);
  expect(existsSync(join(repo, "notes"))).toBe(true);
});

test("nobody else reads it, one of before is closed, and doctor tells", async () => {
  await setupRepository(app, "main", io);
  const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);
  expect([mode(repo), mode(dirname(repo))]).toEqual(["700", "711"]);
  chmodSync(repo, 0o755);
  chmodSync(dirname(repo), 0o755);
  const open = [dirname(repo), repo].map((path) => ({
    path,
    kind: "changed" as const,
    what: `${path} has mode 755: others may read it`,
  }));
  expect(await repositoryDrift(app, io)).toEqual(open);
  expect(await setupRepository(app, "main", io)).toEqual(
    [dirname(repo), repo].map((path) => `closed ${path} to others`),
  );
  expect([mode(repo), mode(dirname(repo))]).toEqual(["700", "711"]);
  expect(await repositoryDrift(app, io)).toEqual([]);
});
