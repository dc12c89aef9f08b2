// The modules of a release: installed as locked, or restored from an earlier install, and trimmed after the build.
import type { Place } from "../../contracts/app-type.ts";
import { DpError } from "../../errors.ts";
import type { Io } from "../../host/io.ts";
import { fold, withoutProgress } from "../../text/fold.ts";
import {
  installWords,
  managerEnv,
  PROGRESS,
  reasonLines,
  staleLockHint,
  trimWords,
  withoutManual,
} from "./commands.ts";
import { modulesKey, settingsSum } from "./key.ts";
import type { Project, Runners } from "./project.ts";
import { runScript } from "./script.ts";
import { archiveOf, isKept, keepModules, removeModules, restoreModules } from "./store.ts";
import type { Tool } from "./tool.ts";
import { requireLocked } from "./yarn-lock.ts";

/**
 * Installs a project's modules into the release; answers the archive that they came from or went into, or null when
 * they are not kept. Safe to repeat. Throws DpError "command" with the installer's output.
 */
export async function installModules(
  place: Place,
  project: Project,
  tool: Tool,
  runners: Runners,
  io: Io,
): Promise<string | null> {
  const { manager, top, isWorkspace } = project;
  if (manager.kind === "yarn" && manager.lock && top && isWorkspace)
    await requireLocked(place.tree, top, manager.lock.text);
  const key = await modulesKey(place, project, tool, runners, await settingsSum(place, runners, io));
  const on = `${runners.main.name} ${runners.main.version.text}`;
  await removeModules(place, place.folder, io);
  let archive: string | null = null;
  if (key !== null && (await isKept(place.base, key))) {
    io.info(`dependencies unchanged (modules ${key}), ${on}`);
    if (await restoreModules(place, key, place.folder, io)) archive = archiveOf(place.base, key);
  }
  if (archive === null) {
    const where = project.workspace ? " of the workspace" : "";
    io.info(`installing ${manager.lock?.path ?? "package.json"}${where} with ${manager.name} ${tool.version}, ${on}`);
    if (manager.lock === null)
      io.warn(
        `no lock file: every deploy may install other versions; ${manager.name} install, and commit its lock file`,
      );
    await installAnew(place, project, tool, project.withDev, io);
    if (key !== null) archive = await keepModules(place, key, place.folder, io);
  }
  const agent = `${manager.name}/${tool.version}`;
  for (const name of project.ownScripts) await runScript(place, project.top!, name, agent, io);
  return archive;
}

/**
 * Runs the installer, without the app's own scripts: those belong to this release, while the kept modules serve all.
 */
async function installAnew(place: Place, project: Project, tool: Tool, withDev: boolean, io: Io): Promise<void> {
  const { manager, isWorkspace, top: pkg, ownScripts } = project;
  const argv = [...tool.argv, ...installWords(manager, { withDev, isWorkspace })];
  if (pkg === null || ownScripts.length === 0) return runManager(place, tool, argv, io);
  const scripts = Object.entries(pkg.scripts).filter(([name]) => !ownScripts.includes(name));
  try {
    await writePackage(place, { ...pkg.json, scripts: Object.fromEntries(scripts) }, io);
    await runManager(place, tool, argv, io);
  } finally {
    await restorePackage(place, io);
  }
}

// One word of a command may have 128 KiB, all together 2 MiB; a character has at most four bytes.
const PIECES = /[^]{1,30000}/gu;
const LONGEST = 400_000;

// The app's user writes the file, from an argument of its own process: the folder belongs to the app.
async function writePackage({ user, folder: cwd }: Place, json: Readonly<Record<string, unknown>>, io: Io) {
  const text = JSON.stringify(json);
  if (text.length > LONGEST) throw new DpError("config", "package.json: too long for one with install scripts");
  const script = '[ -e package.json.dp ] || mv package.json package.json.dp; printf %s "$@" > package.json';
  await io.run(["sh", "-ec", script, "sh", ...text.match(PIECES)!], { user, cwd, quiet: true });
}

async function restorePackage({ user, folder: cwd }: Place, io: Io): Promise<void> {
  const script = "[ ! -e package.json.dp ] || mv -f package.json.dp package.json";
  await io.run(["sh", "-c", script], { user, cwd, quiet: true, signal: new AbortController().signal });
}

async function runManager(place: Place, tool: Tool, argv: readonly string[], io: Io): Promise<void> {
  const { user, timeout, folder: cwd } = place;
  // NODE_ENV would leave out what the build needs; options select the dependencies instead.
  const { NODE_ENV: _, ...own } = place.env;
  const env = { ...own, ...managerEnv(tool.manager.kind) };
  const folded = fold(
    tool.manager.name,
    PROGRESS,
    withoutManual((line) => io.output(line)),
  );
  const how = { user, timeout, confined: place, cwd, env, check: false, keep: 64 * 1024, onLine: folded.line };
  const result = await io.run(argv, how).finally(folded.end);
  if (result.code === 0 && !result.timedOut) return;
  const end = result.timedOut
    ? `did not end within ${Math.round(timeout / 1000)} s`
    : `exited with code ${result.code}`;
  const hint = staleLockHint(tool.manager, result.text);
  const words = argv.slice(tool.argv.length).filter((word) => !word.startsWith("--config."));
  throw new DpError("command", `${tool.manager.name} ${words.join(" ")} ${end}`, {
    lines: withoutProgress(reasonLines(result.text), PROGRESS),
    ...(hint === undefined ? {} : { hint }),
  });
}

const TRIMMED = "node_modules/.dp-trimmed";

/** Whether development dependencies were removed from a release. */
export async function isTrimmed({ user, folder: cwd }: Place, io: Io): Promise<boolean> {
  return (await io.run(["test", "-e", TRIMMED], { user, cwd, check: false, quiet: true })).code === 0;
}

/**
 * Removes development dependencies after the build. Files that the build wrote into node_modules stay. If the package
 * manager cannot remove the dependencies, they stay, too, with a warning.
 */
export async function trimModules(place: Place, project: Project, tool: Tool, io: Io): Promise<void> {
  const { user, folder: cwd } = place;
  const words = trimWords(tool, project);
  try {
    if (words !== null) await runManager(place, tool, [...tool.argv, ...words], io);
    else if (tool.manager.kind === "bun") await reinstall(place, project, tool, io);
    else return io.warn(`development dependencies stay: ${tool.manager.name} cannot remove them here`);
  } catch (error) {
    if (io.signal.aborted || !(error instanceof DpError)) throw error;
    return io.warn(`development dependencies stay: ${error.message}`);
  }
  await io.run(["touch", "--", TRIMMED], { user, cwd, quiet: true });
}

/**
 * bun has no command for this: everything is installed again, and files that a build made (.prisma and the like) are
 * moved over.
 */
async function reinstall(place: Place, project: Project, tool: Tool, io: Io): Promise<void> {
  const { user, timeout, folder: cwd } = place;
  const sh = (script: string) => io.run(["sh", "-ec", script], { user, timeout, cwd, quiet: true });
  await sh("rm -rf node_modules.built; mv node_modules node_modules.built");
  try {
    await installAnew(place, project, tool, false, io);
  } catch (error) {
    await sh("rm -rf node_modules; mv node_modules.built node_modules");
    throw error;
  }
  await sh(
    'mkdir -p node_modules; for one in node_modules.built/.[!.]*; do [ ! -e "$one" ] || [ -e "node_modules/${one##*/}" ] || mv "$one" node_modules/; done; rm -rf node_modules.built',
  );
}
