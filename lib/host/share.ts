// Files that two folders have in common, on the disk once: by their blocks where the file system can, else as one file
// with two names. Which of the two, and what counts as the same file, is decided here.
import { closeSync, constants, fstatSync, linkSync, lstatSync, openSync, readdirSync, readSync } from "node:fs";
import { renameSync, unlinkSync, type Stats } from "node:fs";
import { join } from "node:path";
import { codeOf } from "../errors.ts";
import { dedupe } from "./process/dedupe.ts";
import { hasNoWriter } from "./process/libc.ts";

/** How files may be shared. */
export interface Sharing {
  /** A name on the same file system, in a folder of dp's, for a moment. */
  temp: string;
  /** Whether files may become one with two names. For folders that only root can change. */
  links: boolean;
  signal: AbortSignal;
}

export interface Shared {
  files: number;
  /** The sum of their sizes. */
  bytes: number;
}

/** Where blocks are shared, smaller files have none that is worth a look. */
const BLOCK = 4096;
const NO_LINKS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/** So many names a file can have on ext4, less some. */
const MOST_NAMES = 60_000;
/** Bytes between two pauses, in which others of this process have their turn: the lines to other servers, and signals. */
const OFTEN = 8 * 1024 ** 2;
/** What a file costs besides its bytes, as bytes. */
const FILE = 64 * 1024;

/** Called with the number of bytes that were read. */
type Pause = (bytes: number) => Promise<void>;

function pausing(signal: AbortSignal): Pause {
  let since = 0;
  return async (bytes) => {
    since += bytes;
    if (since < OFTEN) return;
    since = 0;
    await Bun.sleep(0);
    signal.throwIfAborted();
  };
}

/**
 * Makes the files of `folder` share the disk with those of the same name in `older`, where content, size, mode, owner and
 * time are the same: nothing but the space that they take changes. `older` stays as it is. Safe to repeat.
 */
export async function shareFiles(folder: string, older: string, { temp, links, signal }: Sharing): Promise<Shared> {
  const shared: Shared = { files: 0, bytes: 0 };
  // Whether the file system shares blocks is known with the first file that has some.
  let byBlocks: boolean | undefined;
  const small: Pair[] = [];
  const pause = pausing(signal);
  const count = (pair: Pair, isShared: boolean) => {
    if (!isShared) return;
    shared.files++;
    shared.bytes += pair.there.size;
  };
  const folders = [""];
  for (let at = folders.pop(); at !== undefined; at = folders.pop()) {
    for (const { pair, below } of pairsIn(folder, older, at)) {
      if (below !== undefined) folders.push(below);
      if (pair === undefined) continue;
      await pause(FILE);
      if (pair.there.size < BLOCK && byBlocks !== false) {
        if (links && byBlocks === undefined) small.push(pair);
        continue;
      }
      const isShared = byBlocks === false ? null : await shareBlocks(pair, pause);
      byBlocks ??= isShared !== null;
      if (byBlocks) count(pair, isShared === true);
      else if (!links) return shared;
      else count(pair, await shareName(pair, temp, pause));
    }
    await pause(FILE);
  }
  if (byBlocks === true) return shared;
  for (const pair of small) {
    await pause(FILE);
    count(pair, await shareName(pair, temp, pause));
  }
  return shared;
}

/** What both have in a folder by the same name: folders, and files of the same size, which are not empty. */
function* pairsIn(folder: string, older: string, at: string): Generator<{ pair?: Pair; below?: string }> {
  for (const entry of readdirSync(join(folder, at), { withFileTypes: true })) {
    const name = join(at, entry.name);
    const there = lstatSync(join(older, name), { throwIfNoEntry: false });
    if (entry.isDirectory() && there?.isDirectory()) yield { below: name };
    if (!entry.isFile() || !there?.isFile() || there.size === 0) continue;
    const here = lstatSync(join(folder, name));
    if (here.size === there.size) yield { pair: { own: join(folder, name), older: join(older, name), here, there } };
  }
}

/** Two files of the same name. */
interface Pair {
  own: string;
  older: string;
  /** Of the own one. */
  here: Stats;
  /** Of the older one. */
  there: Stats;
}

/** Opens both for reading; neither is followed if it is a link by now. */
async function withBoth<T>({ own, older }: Pair, use: (own: number, older: number) => Promise<T>): Promise<T> {
  const a = openSync(own, NO_LINKS);
  try {
    const b = openSync(older, NO_LINKS);
    try {
      return await use(a, b);
    } finally {
      closeSync(b);
    }
  } finally {
    closeSync(a);
  }
}

// The kernel compares the content, and a later write to one of them does not reach the other. Null: not on this file system.
const shareBlocks = (pair: Pair, pause: Pause) =>
  withBoth(pair, (own, older) => dedupe(older, own, pair.there.size, pause));

/** Whether a file of a finished release is another in everything that can be seen of it. */
function looksSame(own: Stats, there: Stats): boolean {
  const isClosed = own.uid === 0 && (own.mode & 0o022) === 0;
  const isSame = own.mode === there.mode && own.uid === there.uid && own.gid === there.gid && own.size === there.size;
  return isClosed && isSame && seconds(own) === seconds(there) && own.dev === there.dev;
}

/** As an archive keeps the time. */
const seconds = ({ mtimeMs }: Stats) => Math.floor(mtimeMs / 1000);

async function shareName(pair: Pair, temp: string, pause: Pause): Promise<boolean> {
  const { here, there } = pair;
  if (here.ino === there.ino && here.dev === there.dev) return true;
  // With a second name in its own release it is shared already, and renaming would end that.
  if (!looksSame(here, there) || here.nlink > 1 || there.nlink > MOST_NAMES) return false;
  return withBoth(pair, async (own, older) => {
    // Whoever has kept the older file open from its build could still write into it, and with it into this release.
    if (!hasNoWriter(older) || !(await haveSameBytes(own, older, here.size, pause))) return false;
    nameToo(pair.older, temp);
    // What was compared is what the name leads to.
    const isCompared = lstatSync(temp).ino === fstatSync(older).ino;
    if (isCompared) renameSync(temp, pair.own);
    else unlinkSync(temp);
    return isCompared;
  });
}

/** A second name for a file. One that a killed run has left there goes. */
function nameToo(path: string, name: string): void {
  try {
    linkSync(path, name);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
    unlinkSync(name);
    linkSync(path, name);
  }
}

const [ONE, OTHER] = [Buffer.alloc(256 * 1024), Buffer.alloc(256 * 1024)];

async function haveSameBytes(own: number, older: number, size: number, pause: Pause): Promise<boolean> {
  for (let at = 0; at < size;) {
    const count = readSync(own, ONE, 0, ONE.length, at);
    if (count === 0 || readSync(older, OTHER, 0, ONE.length, at) !== count) return false;
    if (Buffer.compare(ONE.subarray(0, count), OTHER.subarray(0, count)) !== 0) return false;
    at += count;
    await pause(count);
  }
  return true;
}
