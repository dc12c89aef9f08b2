// Objects that are taken in while the disk fills up: git is ended, and half a pack is removed.
import { expect, test } from "bun:test";
import { closeSync, readdirSync, writeSync } from "node:fs";
import { join } from "node:path";
import { takeIn } from "../../lib/git/incoming.ts";
import { pipe } from "../../lib/host/process/libc.ts";
import { plainEnv } from "../../lib/host/run.ts";
import { commit, makeApp, useServer } from "../support/core-server.ts";

useServer();

test("a disk that fills up on the way ends it, and nothing half stays", async () => {
  const [from, app] = [await makeApp(), await makeApp()];
  const sha = await commit(from.repo, { a: crypto.getRandomValues(new Uint8Array(64 * 1024)) });
  const argv = ["git", "--git-dir", from.repo, "pack-objects", "--revs", "--stdout", "--quiet"];
  const pack = Bun.spawnSync(argv, { env: plainEnv(), stdin: Buffer.from(`${sha}\n`) }).stdout;
  const packs = () => readdirSync(join(app.repo, "objects/pack"));
  const [read, write] = pipe();
  // As many bytes as a pipe holds: git has begun the pack, and waits for the rest.
  writeSync(write, pack.subarray(0, 32 * 1024));
  const taking = takeIn(app.repo, ["index-pack", "--stdin"], { stdin: read }, () =>
    Promise.resolve(packs().some((name) => name.startsWith("tmp_"))),
  );
  await expect(taking).rejects.toMatchObject({
    exit: "host",
    message: "the disk has no room for the commit and for a deploy",
  });
  for (const end of [read, write]) closeSync(end);
  expect(packs()).toEqual([]);
});
