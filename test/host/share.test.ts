// Files that two folders have in common: once on the disk, on real file systems, and nothing else is changed by it.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Shares } from "../support/share-run.ts";

const folder = mkdtempSync(join(tmpdir(), "dp-share-"));
afterAll(() => rmdirSync(folder));

/** How a file system is made and mounted at $1, in a mount namespace of its own, before the words after it run there. */
const MOUNT = {
  ext4: 'mount -t tmpfs tmpfs "$1"; truncate -s 64M "$1/image"; mkfs.ext4 -q -F "$1/image"; mount -o loop "$1/image" "$1"',
  btrfs:
    'mount -t tmpfs tmpfs "$1"; truncate -s 256M "$1/image"; mkfs.btrfs -q "$1/image" >&2; mount -o loop "$1/image" "$1"',
  xfs: 'mount -t tmpfs tmpfs "$1"; truncate -s 512M "$1/image"; mkfs.xfs -q -m reflink=1 "$1/image"; mount -o loop "$1/image" "$1"',
};

function on(kind: keyof typeof MOUNT, ...argv: string[]) {
  const script = `set -e; ${MOUNT[kind]}; shift; exec "$@"`;
  const words = ["unshare", "--mount", "sh", "-c", script, "sh", folder, ...argv];
  return Bun.spawnSync(words, { stderr: "pipe" });
}

describe.each(["ext4", "btrfs", "xfs"] as const)("%s", (kind) => {
  const tried = on(kind, "true");
  const isThere = tried.exitCode === 0;
  if (!isThere) console.warn(`sharing on ${kind} is left out: ${tried.stderr.toString().trim().split("\n").at(-1)}`);

  test.skipIf(!isThere)("what is the same takes no room, a write to one does not reach the other", () => {
    const program = join(import.meta.dir, "../support/share-run.ts");
    const answer = on(kind, process.execPath, program, folder);
    if (answer.exitCode !== 0) throw new Error(answer.stderr.toString());
    const { shared, again, freed, one, two, differing, alone, closed, held } = JSON.parse(
      answer.stdout.toString(),
    ) as Shares;
    expect(shared).toEqual(again);
    expect(freed).toBeGreaterThan(15);
    expect(differing).toEqual(["another text", "mine"]);
    expect(closed).toEqual(["100666", "100644"]);
    // Who has one open since before it was closed to all could write into both.
    expect(held).toEqual(kind === "ext4" ? [false, true] : [false, false]);
    // By blocks both are files of their own, and one may be written; by names they are one, which only root may write.
    expect([one, two]).toEqual(kind === "ext4" ? ["same", "same"] : ["other", "same content"]);
    // Without a user of its own an app could write into both.
    expect(alone).toEqual(kind === "ext4" ? { files: 0, bytes: 0 } : shared);
  });
});
