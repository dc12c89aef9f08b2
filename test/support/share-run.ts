// A program of its own: shares the files of two folders on the file system at its argument; prints JSON.
import {
  chmodSync,
  closeSync,
  cpSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statfsSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { shareFiles, type Shared } from "../../lib/host/share.ts";

/** What came of it. */
export interface Shares {
  shared: Shared;
  /** The same once more. */
  again: Shared;
  /** MiB that are free again. */
  freed: number;
  /** Whether the large files have the same inode, and what a write to one has left of the other. */
  one: "same" | "other";
  two: "same" | "same content" | "lost";
  /** Two small files of one name and size, afterwards. */
  differing: string[];
  /** The modes of a file that is open to others in one of them. */
  closed: string[];
  /** Whether a file has the same inode while somebody has the older one open for writing, and afterwards. */
  held: boolean[];
  /** The same without links. */
  alone: Shared;
}

const at = process.argv[2]!;
const [older, own, temp] = ["older", "own", "temp"].map((name) => join(at, name)) as [string, string, string];
const options = (links: boolean) => ({ temp, links, signal: new AbortController().signal });

function free(): number {
  Bun.spawnSync(["sync", "-f", at]);
  const { bfree, bsize } = statfsSync(at);
  return (bfree * bsize) / 1024 ** 2;
}

function fill(folder: string, large: Buffer): void {
  mkdirSync(join(folder, "deep/er"), { recursive: true });
  writeFileSync(join(folder, "deep/er/large"), large);
  writeFileSync(join(folder, "open"), "x".repeat(5_000));
  writeFileSync(join(folder, "held"), "x".repeat(6_000));
  for (const path of ["deep/er/large", "open", "held"]) chmodSync(join(folder, path), 0o644);
}

const large = randomBytes(17 * 1024 ** 2 + 123);
for (const folder of [older, own]) fill(folder, large);
chmodSync(join(own, "open"), 0o666);
writeFileSync(join(older, "text"), "another text");
writeFileSync(join(own, "text"), "mine");
writeFileSync(join(older, "kind"), "file");
mkdirSync(join(own, "kind"));
for (const folder of [older, own])
  for (const path of ["deep/er/large", "open", "held"]) utimesSync(join(folder, path), 1e9, 1e9);
const alone = await shareFiles(own, older, options(false));
if (alone.files > 0) {
  // A copy with blocks of its own.
  const copy = join(at, "copy");
  mkdirSync(copy);
  fill(copy, large);
  utimesSync(join(copy, "deep/er/large"), 1e9, 1e9);
  renameSync(join(copy, "deep/er/large"), join(own, "deep/er/large"));
}
const isOne = (name: string) => lstatSync(join(older, name)).ino === lstatSync(join(own, name)).ino;
// As a build leaves it open for a process that goes on.
const writer = openSync(join(older, "held"), "r+");
for (const folder of [older, own]) chmodSync(join(folder, "held"), 0o444);
// As a killed run leaves it.
writeFileSync(temp, "another file");
const before = free();
const shared = await shareFiles(own, older, options(true));
const freed = free() - before;
const isHeld = isOne("held");
const again = await shareFiles(own, older, options(true));
closeSync(writer);
await shareFiles(own, older, options(true));
const isFree = isOne("held");
const [a, b] = [older, own].map((folder) => join(folder, "deep/er/large")) as [string, string];
const isSame = lstatSync(a).ino === lstatSync(b).ino;
cpSync(b, join(at, "kept"));
if (!isSame) writeFileSync(b, "written", { flag: "r+" });
const isKept = readFileSync(a).equals(large);
const answer: Shares = {
  shared,
  again,
  freed,
  one: isSame ? "same" : "other",
  two: isKept ? (isSame ? "same" : "same content") : "lost",
  differing: [older, own].map((folder) => readFileSync(join(folder, "text"), "utf8")),
  closed: [own, older].map((folder) => lstatSync(join(folder, "open")).mode.toString(8)),
  held: [isHeld, isFree],
  alone,
};
console.log(JSON.stringify(answer));
