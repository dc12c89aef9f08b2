// What a package manager reads from outside of the commit: compilers' variables, and settings files on the server.
import type { Io } from "./io.ts";

const COMPILERS =
  /^(?:CC|CXX|CPP|AR|LD|CFLAGS|CPPFLAGS|CXXFLAGS|LDFLAGS|ARCHFLAGS|CPATH|C_INCLUDE_PATH|LIBRARY_PATH|RUSTFLAGS)$|^(?:CMAKE|PKG_CONFIG|SETUPTOOLS)_/;

/** Whether a variable of that name changes what a compiler makes of a native module. */
export const isForCompilers = (name: string): boolean => COMPILERS.test(name);

// What a file says of who asks, and of how the server is reached, does not change what comes.
const HARMLESS = "auth|password|username|token|cert|cafile|proxy|timeout|retries";
const SUM =
  'said=$1; shift; for one; do [ ! -f "$one" ] || { echo "$one"; grep -viE "$said" -- "$one" | sha256sum; }; done';

/**
 * Which of these files there are, seen from the app's folder, with a sum of each as the app's user can read it; lines
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
