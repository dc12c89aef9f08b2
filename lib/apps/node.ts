// Node and Bun apps: a runtime version, a package manager, modules as locked, a build, and a start command.
import { join } from "node:path";
import type { AppType, Place, Runtime } from "../contracts/app-type.ts";
import type { Io } from "../host/io.ts";
import { BERRY } from "./node/commands.ts";
import { kindOf } from "./node/kind.ts";
import { installModules, isTrimmed, trimModules } from "./node/modules.ts";
import { findRunners, readProject, type Project, type Runners } from "./node/project.ts";
import runtimes from "./node/runtimes.ts";
import { lineEnv, runScript } from "./node/script.ts";
import { startCommand } from "./node/start.ts";
import { pruneStore } from "./node/store.ts";
import { findTool, type Tool } from "./node/tool.ts";
import { NEWEST_LTS } from "./node/version.ts";
import { installPlace } from "./node/workspace.ts";

/** The place with these folders first on its PATH. */
const withPath = (place: Place, path: readonly string[]): Place => ({
  ...place,
  env: { ...place.env, PATH: [...path, place.env["PATH"] ?? ""].join(":") },
});

/**
 * The place without the release's own folders on PATH: the tool that installs and removes modules must not be one of
 * them.
 */
const outside = (place: Place): Place => {
  const folders = (place.env["PATH"] ?? "").split(":").filter((folder) => !folder.startsWith(`${place.release}/`));
  return { ...place, env: { ...place.env, PATH: folders.join(":") } };
};

async function build(place: Place, io: Io): Promise<void> {
  const project = await readProject(place);
  const { withDev, manager } = project;
  const own = installPlace(outside(place), project.workspace);
  const runners = withDev ? await findRunners(own, project, io) : null;
  const tool = runners && (await findTool(own, manager, runners.bun, io));
  // A repeated build needs the development dependencies that the first one removed at its end.
  if (tool && (await isTrimmed(own, io))) await installModules(own, project, tool, runners, io);
  await buildLines(place, project, io);
  if (tool) await trimModules(own, project, tool, io);
}

async function buildLines(place: Place, { pkg, manager }: Project, io: Io): Promise<void> {
  const { user, timeout, env, folder: cwd, config } = place;
  const run = (line: string) => io.run(["sh", "-c", line], { user, timeout, confined: place, env, cwd });
  if (config.build !== undefined) await run(config.build);
  else if (!pkg?.scripts["build"]?.trim()) io.info("nothing to build");
  // bun runs the script itself: where there is no node, it replaces node in scripts that call it.
  else if (manager.kind === "bun") await run("bun run build");
  else {
    const names = ["prebuild", "build", "postbuild"].filter((name) => pkg.scripts[name]?.trim());
    for (const name of names) await runScript(place, pkg, name, manager.name, io);
  }
}

/** How the modules get into the release: answers the archive that later releases may use, or null. */
type Modules = (place: Place, project: Project, tool: Tool, runners: Runners, io: Io) => Promise<string | null>;

/** The runtime of a release, once its modules are there. */
async function runtimeOf(place: Place, project: Project, runners: Runners, modules: Modules, io: Io): Promise<Runtime> {
  const { manager, hasDependencies, ownScripts, workspace } = project;
  const { name, program, version } = runners.main;
  const interpreter = { name, program, version: version.text };
  const site = installPlace(place, workspace);
  const bins = [...new Set([place.folder, site.folder])].map((folder) => join(folder, "node_modules/.bin"));
  const isStarted = place.config.command === undefined;
  const berry = manager.kind === "berry" ? BERRY : {};
  const env = { NODE_ENV: "production", ...berry, ...(isStarted ? lineEnv(project.pkg, "start", place.folder) : {}) };
  if (!hasDependencies && ownScripts.length === 0) {
    io.info(`no dependencies, ${name} ${version.text}`);
    return { path: [...bins, ...runners.path], env, dependencies: null, interpreter };
  }
  if (manager.warning !== null) io.warn(manager.warning);
  const tool = await findTool(withPath(site, runners.path), manager, runners.bun, io);
  const path = [...(tool.folder === null ? [] : [tool.folder]), ...runners.path];
  const dependencies = await modules(withPath(site, path), project, tool, runners, io);
  return { path: [...bins, ...path], env, dependencies, interpreter };
}

const installed: Modules = async (site, project, tool, runners, io) => {
  const dependencies = await installModules(site, project, tool, runners, io);
  await io.run(["sync", "-f", site.release], { quiet: true, timeout: site.timeout });
  return dependencies;
};

const node: AppType = {
  name: "node",
  summary: "Node.js with npm, pnpm or yarn, and Bun",
  runtimes,
  // From node 25 on; a fresh Debian has not got it.
  packages: { libatomic1: "ldconfig -p | grep -q 'libatomic[.]so[.]1 '" },

  async wishedRuntime(place) {
    const { isBunApp, wishes } = await readProject(place);
    return isBunApp ? null : (wishes[0]?.asked ?? NEWEST_LTS);
  },

  async detect(tree) {
    return (await kindOf(tree)) === "process" ? { command: null, because: "package.json" } : null;
  },

  async adopt(place, { interpreter }, io) {
    const project = await readProject(place);
    const runners = await findRunners(place, project, io);
    const here = `${runners.main.name} ${runners.main.version.text}`;
    const there = interpreter === null ? "an unknown node" : `${interpreter.name} ${interpreter.version}`;
    if (here !== there) return `it was built on ${there}, and here it is ${here}`;
    return { runtime: await runtimeOf(place, project, runners, async () => null, io) };
  },

  async install(place, io) {
    const project = await readProject(place);
    return runtimeOf(place, project, await findRunners(place, project, io), installed, io);
  },

  hasBuild: async (place) => (await readProject(place)).hasBuild,
  build,

  async command(place) {
    const { pkg, isBunApp, hasBuild } = await readProject(place);
    const { tree, folder } = place;
    return startCommand({ tree, pkg, runner: isBunApp ? "bun" : "node", folder, hasBuild });
  },

  prune: pruneStore,
};

export default node;
