// A disk without room, in bytes or in files: a deploy fails and says why, the old release serves, and there is a way back.
import { expect, test } from "bun:test";
import { mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FullDisk } from "../support/disk-run.ts";

// A small file system of its own, which is gone with the last process that sees it.
const namespace = ["unshare", ...(process.getuid?.() === 0 ? [] : ["--map-root-user"]), "--mount", "sh", "-c"];
const mount = 'mount -t tmpfs -o "$1" tmpfs "$2" || exit 99; TMPDIR=$2; export TMPDIR; shift 2; "$@"';
const canMount = Bun.spawnSync([...namespace, mount, "sh", "size=1m", "/mnt", "true"]).exitCode === 0;
if (!canMount) console.warn("deploys on a full disk are left out: this user may not mount a small one");

async function onSmallDisk(how: string, options = "size=48m"): Promise<FullDisk> {
  const folder = mkdtempSync(join(tmpdir(), "dp-disk-"));
  try {
    const program = join(import.meta.dir, "../support/disk-run.ts");
    const argv = [...namespace, mount, "sh", options, folder, process.execPath, program, how];
    const child = Bun.spawn(argv, { stderr: "inherit" });
    return JSON.parse(await child.stdout.text()) as FullDisk;
  } finally {
    rmdirSync(folder);
  }
}

test.skipIf(!canMount)("full before the deploy: nothing is begun, and a rollback lives on the ballast", async () => {
  const { releases, full, rollback, again } = await onSmallDisk("before");
  const [first, second, failed, back, last] = releases;
  expect(`${full.code} ${full.text}`).toContain("1 ");
  expect(full.text).toMatch(/the disk (is full|has .* free)|[Nn]o space left/);
  expect(failed).toBe(second!);
  expect(`${rollback!.code}\n${rollback!.text}`).toStartWith("0\n");
  expect(back).toBe(first!);
  expect(`${again.code}\n${again.text}`).toStartWith("0\n");
  expect([first, second]).not.toContain(last);
});

test.skipIf(!canMount)("filled by the build: what has filled it is gone at once, and all goes on", async () => {
  const { releases, free, full, rollback, again } = await onSmallDisk("during");
  const [first, second, failed, back, last] = releases;
  expect(full.code).toBe(1);
  expect(full.text).toContain("No space left");
  expect(failed).toBe(second!);
  expect(free).toBeGreaterThan(16 * 1024 * 1024);
  expect(`${rollback!.code}\n${rollback!.text}`).toStartWith("0\n");
  expect(back).toBe(first!);
  expect(`${again.code}\n${again.text}`).toStartWith("0\n");
  expect([first, second]).not.toContain(last);
});

test.skipIf(!canMount)("without a file left: the deploy fails, and succeeds when there are some", async () => {
  const { releases, full, again } = await onSmallDisk("inodes", "size=48m,nr_inodes=8k");
  const [first, second, failed, , last] = releases;
  expect(`${full.code}\n${full.text}`).toMatch(/^8\n[^]*(disk is full|[Nn]o space left|more files)/);
  expect(full.text).not.toContain("bug");
  expect(failed).toBe(second!);
  expect(`${again.code}\n${again.text}`).toStartWith("0\n");
  expect([first, second]).not.toContain(last);
});
