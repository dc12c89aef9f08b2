// The virtual environments of an app: keyed by the content of their definitions, and either complete or absent.
import { lstat, mkdir, readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Place, Runtime } from "../../contracts/app-type.ts";
import { codeOf, DpError, messageOf } from "../../errors.ts";
import { readText, removeFile, writeFileAtomic } from "../../host/files.ts";
import type { Io } from "../../host/io.ts";
import { seal } from "../../host/ownership.ts";
import { removeTree } from "../../host/remove.ts";
import type { Definition } from "./definition.ts";
import type { RunOptions } from "../../host/run.ts";
import { fold, withoutProgress } from "../../text/fold.ts";
import { PROGRESS, recipe, type Installer } from "./installer.ts";
import type { Interpreter } from "./known.ts";
import { decides } from "./variables.ts";
import { versionText } from "./version.ts";

/** The folder of an app's environments. It belongs to dp, and so does each folder KEY in it once it is complete. */
export const venvsFolder = (base: string): string => join(base, "venvs");

const OURS = /^([0-9a-f]{16}|release-[0-9]+-[0-9a-f]{7})(\.json|\.txt)?$/;

/** 16 hex digits of the SHA-256 of any JSON value. */
export function keyOf(content: unknown): string {
  return new Bun.CryptoHasher("sha256").update(JSON.stringify(content)).digest("hex").slice(0, 16);
}

/**
 * The key of a definition's environment: by content when it may be shared, by release when it may not. `settings`: a
 * hash of the installer's settings files on the server.
 */
export function venvKey(
  place: Pick<Place, "id" | "env">,
  definition: Definition,
  installer: Installer,
  interpreter: Interpreter,
  settings: string,
): string {
  if (definition.isLocal) return `release-${place.id}`;
  const env = Object.entries(place.env).filter(([name]) => decides(name));
  const files = [...definition.files].sort(([a], [b]) => (a < b ? -1 : 1));
  return keyOf([
    interpreter.executable,
    versionText(interpreter.version),
    installer.name,
    definition.from,
    files,
    env.sort(),
    settings,
  ]);
}

/**
 * Whether the environment KEY is complete: then the marker KEY.json exists. It is written last, into dp's folder, where
 * the app cannot write.
 */
export async function isComplete(base: string, key: string): Promise<boolean> {
  const folder = join(venvsFolder(base), key);
  return (await readText(`${folder}.json`)) !== null && (await exists(folder));
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return false;
    throw error;
  }
}

/** Marks the folder KEY as complete, after it is closed and its files are on the disk. */
export async function markComplete(place: Place, key: string, facts: Record<string, unknown>, io: Io): Promise<void> {
  const folder = join(venvsFolder(place.base), key);
  await seal(folder, { maker: place.user, reader: place.reader }, io);
  await io.run(["sync", "-f", folder], { quiet: true, timeout: 300_000 });
  await writeFileAtomic(`${folder}.json`, `${JSON.stringify({ version: 1, ...facts })}\n`, 0o644);
}

/** The place of an environment, and the user who may change it. */
type Owner = Pick<Place, "base" | "user">;

/** Removes the environment KEY, the marker first. Safe to repeat. */
export async function removeVenv({ base, user }: Owner, key: string, io: Io): Promise<void> {
  const folder = join(venvsFolder(base), key);
  for (const suffix of [".json", ".txt"]) await removeFile(folder + suffix);
  await removeTree(folder, user, io);
}

/** An empty folder KEY that belongs to the build user; earlier content is removed. Needs the app's lock. */
export async function freshFolder({ base, user }: Owner, key: string, io: Io): Promise<string> {
  const folder = join(venvsFolder(base), key);
  await mkdir(venvsFolder(base), { recursive: true, mode: 0o755 });
  await removeVenv({ base, user }, key, io);
  const owner = user && process.getuid?.() === 0 ? ["-o", user, "-g", user] : [];
  await io.run(["install", "-d", "-m", "755", ...owner, "--", folder], { quiet: true });
  return folder;
}

/**
 * Builds the environment KEY at its final path. Throws DpError "command" with the installer's last lines, and then
 * leaves nothing. The app's lock prevents two builds of the same key at once.
 */
export async function buildVenv(
  place: Place,
  key: string,
  definition: Definition,
  installer: Installer,
  interpreter: Interpreter,
  io: Io,
): Promise<void> {
  const { base, user, timeout, folder: cwd } = place;
  const venv = join(venvsFolder(base), key);
  const plan = recipe(definition, installer, interpreter, venv, `${venv}.txt`);
  await freshFolder(place, key, io);
  if (plan.requirements !== null) await writeFileAtomic(`${venv}.txt`, plan.requirements, 0o644);
  const env = { ...place.env, ...plan.env };
  try {
    const confined = { ...place, opens: [...place.opens, venv] };
    for (const argv of plan.argvs) await runFolded(argv, { user, timeout, confined, env, cwd }, installer, io);
  } catch (error) {
    // Without its marker it does not count: what cannot be removed now is removed by the next install.
    await removeVenv(place, key, io).catch((left) => io.warn(`${venv} is still there: ${messageOf(left)}`));
    throw error;
  }
  const facts = { python: versionText(interpreter.version), interpreter: interpreter.executable };
  await markComplete(place, key, { ...facts, installer: installer.name, files: [...definition.files.keys()] }, io);
}

async function runFolded(argv: readonly string[], how: RunOptions, { name }: Installer, io: Io): Promise<void> {
  const folded = fold(name, PROGRESS, (line) => io.output(line));
  try {
    await io.run(argv, { ...how, onLine: folded.line });
  } catch (error) {
    if (!(error instanceof DpError)) throw error;
    const { exit, message, hint, cause } = error;
    const lines = withoutProgress(error.lines, PROGRESS);
    throw new DpError(exit, message, { lines, cause, ...(hint === undefined ? {} : { hint }) });
  } finally {
    folded.end();
  }
}

/** Removes the environments that none of the runtimes names; answers the removed folders. Unknown names stay. */
export async function pruneVenvs(owner: Owner, kept: readonly Runtime[], io: Io): Promise<string[]> {
  const folder = venvsFolder(owner.base);
  const used = new Set(kept.flatMap((runtime) => [runtime.dependencies, ...runtime.path.map((path) => dirname(path))]));
  const names = await readdir(folder).catch((error) => {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  });
  const keys = new Set(names.map((name) => OURS.exec(name)?.[1]).filter((key) => key !== undefined));
  const removed = [...keys].map((key) => join(folder, key)).filter((path) => !used.has(path));
  for (const path of removed) await removeVenv(owner, basename(path), io);
  return removed;
}
