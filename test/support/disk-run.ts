// A program of its own: deploys on a disk that is full, in one way or another. TMPDIR is a small file system; prints JSON.
//
// Its only argument: "before", the disk is full when the deploy begins; "during", the build fills it; "inodes", there is
// room, and no file can be made.
import { appendFileSync, closeSync, mkdirSync, openSync, rmSync, statfsSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { codeOf } from "../../lib/errors.ts";
import { expectInvariants } from "../faults/invariants.ts";
import { deployYml, sandbox } from "./sandbox.ts";

/** What came of it. */
export interface FullDisk {
  /** The first, the second, who answered after the failed deploy, after the rollback, and after the last deploy. */
  releases: string[];
  /** Bytes that were free after the failed deploy. */
  free: number;
  full: { code: number; text: string };
  /** The rollback on the full disk; null: none was tried. */
  rollback: { code: number; text: string } | null;
  /** A push of the same commit when there is room again. */
  again: { code: number; text: string };
}

const filler = join(tmpdir(), "filler");

/** Takes all the room there is. */
function fillBytes(): void {
  const file = openSync(filler, "a");
  for (let size = 1 << 20; size > 0;) {
    try {
      writeSync(file, Buffer.alloc(size));
    } catch (error) {
      if (codeOf(error) !== "ENOSPC") throw error;
      size = size >> 1;
    }
  }
  closeSync(file);
}

/** Takes all the names there are. */
function fillNames(): void {
  mkdirSync(filler, { recursive: true });
  for (let count = 0; ; count++) {
    try {
      writeFileSync(join(filler, String(count)), "");
    } catch (error) {
      if (codeOf(error) === "ENOSPC") return;
      throw error;
    }
  }
}

const roomy = join(tmpdir(), "roomy");
const BUILD = `build: '[ -e "${roomy}" ] || head -c 1G /dev/zero > big'\n`;

async function main(how: string): Promise<FullDisk> {
  const box = await sandbox();
  const invariants = (isSettled: boolean) => expectInvariants(box, { isSettled });
  const answered = async () => (await box.answer()).split(" ").at(-1)!;
  try {
    // The step preflight would refuse what is to fail in the middle.
    appendFileSync(join(box.base, "config.yml"), "minFree: 1m\n");
    const first = await box.release({ say: "zero" });
    const second = await box.release({ say: "one" });
    await box.commit({ say: "two", "deploy.yml": deployYml(box.app, how === "during" ? BUILD : "") });
    if (how === "before") fillBytes();
    if (how === "inodes") fillNames();
    // git needs some files of its own, and refuses before dp is asked.
    const full = how === "inodes" ? await box.dp("deploy", box.app) : await box.push();
    const releases = [first, second, await answered()];
    await invariants(false);
    const free = statfsSync(tmpdir()).bavail * statfsSync(tmpdir()).bsize;
    if (how === "before") fillBytes();
    const rollback = how === "inodes" ? null : await box.dp("rollback", box.app);
    releases.push(await answered());
    await invariants(false);
    rmSync(filler, { recursive: true, force: true });
    writeFileSync(roomy, "");
    const again = await box.push();
    await invariants(true);
    return { releases: [...releases, await answered()], free, full, rollback, again };
  } finally {
    await box.stop();
  }
}

console.log(JSON.stringify(await main(process.argv[2] ?? "before")));
