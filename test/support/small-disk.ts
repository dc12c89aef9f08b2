// A program of its own: pushes on a disk that is nearly full, of bytes or of inodes. TMPDIR is a small file system; it
// prints JSON.
import { mkdirSync, readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sandbox } from "./sandbox.ts";

/** What came of it. */
export interface SmallDisk {
  refused: Record<"bytes" | "files", { code: number; text: string }>;
  /** The releases on disk, and the live one: before, after both refusals. */
  before: [releases: string[], live: string | null];
  after: [releases: string[], live: string | null];
  /** Who answered while the disk was full. */
  answered: string;
  /** A restart meanwhile, which needs no room. */
  restart: number;
  /** The same commit, when there is room again. */
  again: { code: number; text: string };
}

/** Leaves that much of the disk free. */
function fillTo(left: number, path: string): void {
  const { bavail, bsize } = statfsSync(tmpdir());
  writeFileSync(path, Buffer.alloc(bavail * bsize - left));
}

function useFiles(left: number, folder: string): void {
  mkdirSync(folder);
  for (let { ffree } = statfsSync(tmpdir()); ffree > left; ffree--) writeFileSync(join(folder, String(ffree)), "");
}

async function main(): Promise<SmallDisk> {
  const box = await sandbox();
  const filler = join(tmpdir(), "filler");
  const look = (): [string[], string | null] => [readdirSync(join(box.base, "releases")), box.link("current")];
  try {
    await box.release({ say: "one" });
    const before = look();
    await box.commit({ say: "two" });
    fillTo(50 * 1024 ** 2, filler);
    const bytes = await box.push();
    const answered = await box.answer();
    const restart = (await box.dp("restart", box.app)).code;
    await box.dp("rollback", box.app, before[1]!);
    rmSync(filler);
    useFiles(1_500, filler);
    const files = await box.push();
    const after = look();
    rmSync(filler, { recursive: true });
    const again = await box.push();
    return { refused: { bytes, files }, before, after, answered, restart, again };
  } finally {
    await box.stop();
  }
}

console.log(JSON.stringify(await main()));
