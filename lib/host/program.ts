// Programs on the app's PATH: where they are, and what they print about themselves.
import { access, constants, stat } from "node:fs/promises";
import { join } from "node:path";
import { codeOf, DpError } from "../errors.ts";
import type { Io } from "./io.ts";

/** The absolute folders of a PATH, in order. */
export const pathFolders = (path: string): string[] => path.split(":").filter((folder) => folder.startsWith("/"));

/** The first program of that name on a PATH, or null. */
export async function findProgram(name: string, path: string): Promise<string | null> {
  for (const folder of pathFolders(path)) {
    const file = join(folder, name);
    if (await isExecutable(file)) return file;
  }
  return null;
}

/** Whether a path is, or links to, an executable file. */
export async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EACCES", "ELOOP"].includes(codeOf(error) ?? "")) return false;
    throw error;
  }
}

/** The user and environment that a program is run with. */
export interface Standpoint {
  user: string | undefined;
  env: Record<string, string>;
  folder: string;
}

/**
 * The output of a program, run as the app's user; null when it fails or cannot be run (a version manager's shim, for
 * example).
 */
export async function answerOf(argv: readonly string[], place: Standpoint, io: Io): Promise<string | null> {
  const { user, env, folder: cwd } = place;
  try {
    const result = await io.run(argv, { user, env, cwd, check: false, quiet: true, timeout: 20_000 });
    return result.code === 0 && !result.timedOut ? result.text : null;
  } catch (error) {
    if (error instanceof DpError && error.exit === "host") return null;
    throw error;
  }
}
