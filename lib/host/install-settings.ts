// Settings from outside the commit that affect an install: the compilers' variables, and settings files on the server.
import { lstatSync, readFileSync } from "node:fs";
import { dirname, isAbsolute } from "node:path";
import { codeOf } from "../errors.ts";
import type { Io } from "./io.ts";

const COMPILERS =
  /^(?:CC|CXX|CPP|AR|LD|CFLAGS|CPPFLAGS|CXXFLAGS|LDFLAGS|ARCHFLAGS|CPATH|C_INCLUDE_PATH|LIBRARY_PATH|RUSTFLAGS)$|^(?:CMAKE|PKG_CONFIG|SETUPTOOLS)_/;

/** Whether the variable of that name changes how a compiler builds a native module. */
export const isForCompilers = (name: string): boolean => COMPILERS.test(name);

// Lines about credentials and about the way to the registry do not change what is installed.
const HARMLESS = "auth|password|username|token|cert|cafile|proxy|timeout|retries";
const SAID = new RegExp(HARMLESS, "i");
/** Bytes: a settings file of a system is small. */
const LARGE = 64 * 1024;
const SUM =
  'said=$1; shift; for one; do [ ! -f "$one" ] || { echo "$one"; grep -viE "$said" -- "$one" | sha256sum; }; done';

/**
 * Which of these files exist, seen from the app's folder, with a checksum of each as the app's user can read it. Lines
 * with credentials are left out.
 */
export async function sumOfFiles(
  files: readonly string[],
  { user, timeout, folder: cwd }: { user: string | undefined; timeout: number; folder: string },
  io: Io,
): Promise<string> {
  const all = [...new Set(files)];
  // Most servers have none of them, or the system's alone.
  const sums = all.map(sumOfSystems);
  if (!sums.includes(null)) return sums.filter((sum) => sum !== "").join("\n");
  const argv = ["sh", "-c", SUM, "sh", HARMLESS, ...all];
  return (await io.run(argv, { user, timeout, cwd, quiet: true })).text;
}

/** What the shell says of a file that root alone can change and everybody reads; "": there is none; null: it is another. */
function sumOfSystems(file: string): string | null {
  if (!isAbsolute(file)) return null;
  try {
    const stat = lstatSync(file);
    if (!stat.isFile() || stat.size > LARGE || (stat.mode & 0o004) === 0 || !isRootsAlone(file)) return null;
    const text = readFileSync(file, "latin1");
    if (/[^\t\r\n\x20-\x7e]/.test(text)) return null;
    const lines = text.split("\n");
    if (lines.at(-1) === "") lines.pop();
    const kept = lines.filter((line) => !SAID.test(line)).map((line) => `${line}\n`);
    return `${file}\n${new Bun.CryptoHasher("sha256").update(kept.join("")).digest("hex")}  -`;
  } catch (error) {
    return codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR" ? "" : null;
  }
}

/** Whether nobody but root can put something else in the place of a file, and everybody can reach it. */
function isRootsAlone(file: string): boolean {
  for (let path = file; path !== "/"; path = dirname(path)) {
    const { uid, mode } = lstatSync(path);
    if (uid !== 0 || (mode & 0o022) !== 0 || (path !== file && (mode & 0o170001) !== 0o040001)) return false;
  }
  return true;
}
