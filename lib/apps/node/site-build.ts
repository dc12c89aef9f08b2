// The node and the package manager for the build of a site, chosen as for node apps.
import type { Place, Runtime } from "../../contracts/app-type.ts";
import { DpError } from "../../errors.ts";
import type { Io } from "../../host/io.ts";
import { findRunners, readProject, type Project, type Runners } from "./project.ts";
import { findTool } from "./tool.ts";
import { installPlace } from "./workspace.ts";

const OF_NODE = ["package.json", ".nvmrc", ".node-version"];
const MENTIONS_NODE = /(?:^|[\s;&|(])(?:npm|npx|node|pnpm|pnpx|yarn|corepack|bunx?)(?=\s|$)/;

/**
 * What a site's build needs on its PATH; null for a build that is not node's. Throws DpError "host" when the server has
 * no node that fits, with the command that installs it.
 */
export async function siteRuntime(place: Place, io: Io): Promise<Runtime | null> {
  const { build } = place.config;
  const paths = new Set((await place.tree.list()).map(({ path }) => path));
  if (build === undefined || !OF_NODE.some((path) => paths.has(path))) return null;
  const project = await readProject(place);
  const mustHave = MENTIONS_NODE.test(build) || project.wishes.length > 0;
  const runners = await runnersOf(place, project, mustHave, io);
  if (runners === null) return null;
  const { name, program, version } = runners.main;
  io.info(`${name} ${version.text} for the build`);
  const tool = await toolFolder(place, project, runners, io);
  const path = [...(tool === null ? [] : [tool]), ...runners.path];
  return { path, env: {}, dependencies: null, interpreter: { name, program, version: version.text } };
}

// A script may do without node.
async function runnersOf(place: Place, project: Project, mustHave: boolean, io: Io): Promise<Runners | null> {
  try {
    return await findRunners(place, project, io);
  } catch (error) {
    if (!mustHave && error instanceof DpError && error.exit === "host") return null;
    throw error;
  }
}

/** The folder of a package manager that had to be fetched for the line, or null. */
async function toolFolder(place: Place, project: Project, runners: Runners, io: Io): Promise<string | null> {
  const { manager, workspace } = project;
  const words = place.config.build!.split(/[\s;&|()]+/);
  if (!words.includes(manager.name)) return null;
  const PATH = [...runners.path, place.env["PATH"] ?? ""].join(":");
  const site = installPlace({ ...place, env: { ...place.env, PATH } }, workspace);
  return (await findTool(site, manager, runners.bun, io)).folder;
}
