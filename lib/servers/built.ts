// A built release on its way from one server to another, so that it is built once: what it needs, and its files.
import { closeSync, openSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { basename, dirname, join, normalize } from "node:path";
import type { App, NamedApp } from "../contracts/app.ts";
import type { Runtime } from "../contracts/app-type.ts";
import { readText, removeFile, writeFileAtomic } from "../host/files.ts";
import type { Io } from "../host/io.ts";
import { removeTree } from "../host/remove.ts";
import { seal } from "../host/ownership.ts";
import { runtimes, type Places } from "../paths.ts";
import type { Built } from "../pipeline/facts.ts";
import { unpack, type Laying } from "../release/lay-out.ts";
import type { Fit, Offer } from "./messages.ts";

/** The parts of it that travel: the release's own folder, and that of its dependencies. */
export const PARTS = ["release", "dependencies"] as const;
export type Part = (typeof PARTS)[number];

const NOTES = [".json", ".txt"] as const;

/** The archive of a part, as it came; dp's own file. */
export const archiveOf = ({ places }: NamedApp, id: string, part: Part) => join(places.runs, `${id}.${part}.tar`);

/**
 * The folder of dependencies that may travel, or null: one of those that the app type keeps in `store`. Another server
 * names it, and root removes and makes it.
 */
export function dependenciesIn({ dependencies }: Runtime, store: string | undefined): string | null {
  if (dependencies === null || store === undefined || dirname(dependencies) !== store) return null;
  return /^[0-9a-z][0-9a-z-]{0,60}$/.test(basename(dependencies)) ? dependencies : null;
}

async function libc(io: Io): Promise<string> {
  const { code, text } = await io.run(["getconf", "GNU_LIBC_VERSION"], { check: false, quiet: true });
  return code === 0 ? text : "another";
}

/** What the release needs of a server on which it runs as it is. */
export const offerOf = async ({ places }: NamedApp, runtime: Runtime, io: Io): Promise<Offer> => ({
  base: places.base,
  arch: process.arch,
  libc: await libc(io),
  runtime,
});

/** Whether a release with these needs runs here as it is. */
export async function fits({ places, server }: App, offer: Offer, io: Io): Promise<Fit> {
  const { base, arch, runtime } = offer;
  const { dependencies, interpreter, path } = runtime;
  const has = (test: "-d" | "-f", file: string) => isThere({ places, server }, test, file, io);
  const hasDependencies =
    dependencies !== null && (await has("-d", dependencies)) && (await has("-f", `${dependencies}.json`));
  const no = (why: string): Fit => ({ why, hasDependencies });
  if (base !== places.base) return no(`its apps are below ${dirname(places.base)}`);
  if (arch !== process.arch) return no(`it is ${process.arch}, not ${arch}`);
  const own = await libc(io);
  if (own !== offer.libc) return no(`it has ${own}, not ${offer.libc}`);
  if (interpreter) {
    const { name, program, version } = interpreter;
    // As the app's user: the other server names the program.
    const how = { check: false, quiet: true, user: server.user };
    const said = await io.run([program, "--version"], how).catch(() => null);
    if (!said?.text.includes(version)) return no(`it has no ${name} ${version} at ${program}`);
  }
  // It has answered, wherever it is.
  const found = interpreter && dirname(interpreter.program);
  const isOwn = (folder: string) => dependencies !== null && folder.startsWith(`${dependencies}/`);
  for (const folder of path)
    if (!isOwn(folder) && !folder.startsWith(`${base}/releases/`) && folder !== found && !(await has("-d", folder)))
      return no(`it has no ${folder}`);
  return { why: null, hasDependencies };
}

/** Where the programs and files of a release may be. Anywhere else is not for another server to ask about. */
const isForApps = ({ base }: Places, path: string) =>
  normalize(path) === path &&
  !path.includes("\0") &&
  [base, runtimes(), "/usr"].some((folder) => path.startsWith(`${folder}/`));

// As the app's user, who cannot see more than the app itself could.
async function isThere(
  { places, server }: Pick<App, "places" | "server">,
  test: "-d" | "-f",
  path: string,
  io: Io,
): Promise<boolean> {
  if (!isForApps(places, path)) return false;
  return (await io.run(["test", test, path], { check: false, quiet: true, user: server.user })).code === 0;
}

/** The notes that an app type keeps beside its dependencies. */
export async function notesOf(dependencies: string | null): Promise<Built["notes"]> {
  const notes: Built["notes"] = {};
  for (const end of dependencies === null ? [] : NOTES) {
    const text = await readText(`${dependencies}${end}`);
    if (text !== null) notes[end] = text;
  }
  return notes;
}

/** Who the files belong to, as in a build here. */
interface Owners {
  user: string | undefined;
  reader: string | undefined;
  timeout: number;
}

/** Unpacks a part into a folder that is there and empty, as the build user. */
export async function unpackPart(app: App, id: string, part: Part, to: Folder, io: Io): Promise<void> {
  const file = openSync(archiveOf(app, id, part), "r");
  try {
    await unpack(file, { app, release: to.release, user: to.user }, io);
  } finally {
    closeSync(file);
  }
}

type Folder = Pick<Laying, "release" | "user">;

/** Puts dependencies in their place, unless they are there; the note that they are complete comes last. */
export async function placeDependencies(
  app: App,
  { id, folder, notes }: { id: string; folder: string; notes: Built["notes"] },
  owners: Owners,
  io: Io,
): Promise<void> {
  if (notes[".json"] === undefined || (await readText(`${folder}.json`)) !== null) return;
  const { user, reader, timeout } = owners;
  await mkdir(dirname(folder), { recursive: true, mode: 0o755 });
  await removeTree(folder, user, io);
  const owner = user && process.getuid?.() === 0 ? ["-o", user, "-g", user] : [];
  await io.run(["install", "-d", "-m", "755", ...owner, "--", folder], { quiet: true });
  await unpackPart(app, id, "dependencies", { release: folder, user }, io);
  await seal(folder, { maker: user, reader }, io);
  await io.run(["sync", "-f", folder], { quiet: true, timeout });
  for (const end of NOTES.toReversed())
    if (notes[end] !== undefined) await writeFileAtomic(`${folder}${end}`, notes[end], 0o644);
}

/** Removes what came for a run. Safe to repeat. */
export async function forgetParts(app: NamedApp, id: string): Promise<void> {
  for (const part of PARTS) await removeFile(archiveOf(app, id, part));
}
