// The folder of runtimes for all apps: made by anyone who may, readable by everybody, and tested as a user without
// rights.
import { chmod, mkdir, mkdtemp, readdir } from "node:fs/promises";
import { join } from "node:path";
import { codeOf, DpError } from "../errors.ts";
import { root, runtimes } from "../paths.ts";
import type { Io } from "./io.ts";
import { shellQuote } from "./template.ts";

/** Makes the folder of one kind, `node`, and a temp folder in it. Throws DpError "host" when dp lacks the right. */
export async function runtimeFolder(kind: string): Promise<{ folder: string; temp: string }> {
  const folder = join(runtimes(), kind);
  try {
    await mkdir(folder, { recursive: true, mode: 0o755 });
    const temp = await mkdtemp(join(folder, ".fetch-"));
    for (const path of [runtimes(), folder, temp]) await chmod(path, 0o755);
    return { folder, temp };
  } catch (error) {
    if (!["EACCES", "EPERM", "EROFS"].includes(codeOf(error) ?? "")) throw error;
    throw new DpError("host", `cannot write into ${folder} (${codeOf(error)})`, { hint: "run it as root, with sudo" });
  }
}

/** The command that installs a version, quoted for a shell. */
export const howToInstall = (kind: string, version: string): string =>
  `dp runtimes install ${kind} ${/^[\w.]+$/.test(version) ? version : shellQuote(version)}`;

/** The bin folders of the installed runtimes. */
export async function runtimeBins(kind: string): Promise<string[]> {
  const folder = join(runtimes(), kind);
  const names = await readdir(folder).catch((error) => {
    if (["ENOENT", "ENOTDIR", "EACCES"].includes(codeOf(error) ?? "")) return [];
    throw error;
  });
  return names.filter((name) => !name.startsWith(".")).map((name) => join(folder, name, "bin"));
}

/** Lets everybody read and run the contents of a folder, and only the owner change them. */
export const openToAll = (folder: string, io: Io) =>
  io.run(["chmod", "-R", "a+rX,go-w", "--", folder], { quiet: true, timeout: 300_000 });

/** A user without any rights, when dp is root of a whole server: a program that runs for that user runs for every app. */
export const nobody = (): string | undefined => (process.getuid?.() === 0 && root() === "" ? "nobody" : undefined);
