// Databases in a release: which are named, and where the app could write them.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { folderTree } from "../../lib/git/tree.ts";
import { strayData } from "../../lib/release/stray-data.ts";

let base: string;
beforeEach(async () => void (base = await mkdtemp(join(tmpdir(), "dp-stray-"))));
afterEach(() => rm(base, { recursive: true }));

const isRoot = process.getuid!() === 0;
test.each([
  [undefined, "new"],
  ...(isRoot ? [["root", "new"] as const] : []),
  ...(isRoot ? [["daemon", "read-only and new"] as const] : []),
])("for an app whose user is %p the release is %s", async (user, is) => {
  const [release, commit] = [join(base, "release"), join(base, "commit")];
  await Bun.write(join(commit, "fixtures/own.db"), "");
  for (const path of ["fixtures/own.db", "db.sqlite3", "var/jobs.db"]) await Bun.write(join(release, path), "");
  expect(await strayData(release, folderTree(commit), user)).toEqual([
    `db.sqlite3 is in the release, which is ${is} with each deploy: keep it below shared: {dirs: [data]}`,
    `var/jobs.db is in the release, which is ${is} with each deploy: keep it below shared: {dirs: [var]}`,
  ]);
});
