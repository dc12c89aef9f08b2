// Settings from outside the commit that affect an install: the compilers' variables, and settings files on the server.
import type { Io } from "./io.ts";

const COMPILERS =
  /^(?:CC|CXX|CPP|AR|LD|CFLAGS|CPPFLAGS|CXXFLAGS|LDFLAGS|ARCHFLAGS|CPATH|C_INCLUDE_PATH|LIBRARY_PATH|RUSTFLAGS)$|^(?:CMAKE|PKG_CONFIG|SETUPTOOLS)_/;

/** Whether the variable of that name changes how a compiler builds a native module. */
export const isForCompilers = (name: string): boolean => COMPILERS.test(name);

// Lines about credentials and about the way to the registry do not change what is installed.
const HARMLESS = "auth|password|username|token|cert|cafile|proxy|timeout|retries";
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
  const argv = ["sh", "-c", SUM, "sh", HARMLESS, ...new Set(files)];
  return (await io.run(argv, { user, timeout, cwd, quiet: true })).text;
}
