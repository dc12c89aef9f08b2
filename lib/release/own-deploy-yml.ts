// Which deploy.yml of a repository is an app's: the one that has its name, at the top or in a folder of its own.
import { posix } from "node:path";
import { parseDeployConfig } from "../config/config.ts";
import type { AppSettings, Declared } from "../config/declared.ts";
import { isMapping } from "../config/parse.ts";
import { pathProblem } from "../config/plain-path.ts";
import type { DeployConfig } from "../config/types.ts";
import { readYaml } from "../config/yaml.ts";
import { DpError } from "../errors.ts";
import type { TreeEntry } from "../git/entries.ts";
import type { Tree } from "../git/tree.ts";

export const DEPLOY_YML = "deploy.yml";

/** A deploy.yml of a repository. */
export interface OwnDeployYml {
  /** Its path: "deploy.yml", or "api/deploy.yml". */
  path: string;
  text: string;
}

/** Whether dp looks for a deploy.yml in this folder, a path: not in hidden ones, and not in those of packages. */
export const isAppFolder = (folder: string): boolean =>
  pathProblem(folder) === null && !folder.split("/").some((part) => part.startsWith(".") || part === "node_modules");

/** The paths of deploy.yml in folders; links are none. */
export const innerPaths = (entries: readonly TreeEntry[]): string[] =>
  entries.flatMap(({ path, kind }) =>
    posix.basename(path) === DEPLOY_YML && isAppFolder(posix.dirname(path)) && /^(?:file|executable)$/.test(kind)
      ? [path]
      : [],
  );

/** Every deploy.yml of a repository, that at the top first. */
export async function deployYmls(tree: Tree): Promise<OwnDeployYml[]> {
  const found: OwnDeployYml[] = [];
  for (const path of [DEPLOY_YML, ...innerPaths(await tree.list())]) {
    const text = await tree.read(path, "by mark");
    if (text !== null) found.push({ path, text });
  }
  return found;
}

/**
 * The deploy.yml with the app's name, first at the top, then in folders; if none has it, that at the top, or null. Throws
 * DpError "config" when several folders have one.
 */
export async function deployYmlOf(tree: Tree, app: string): Promise<OwnDeployYml | null> {
  const text = await tree.read(DEPLOY_YML, "by mark");
  const top = text === null ? null : { path: DEPLOY_YML, text };
  const isAlone = innerPaths(await tree.list()).length === 0;
  if (isAlone || (top !== null && nameIn(top) === app)) return top;
  const own = (await deployYmls(tree)).filter((each) => nameIn(each) === app);
  if (own.length < 2) return own[0] ?? top;
  const paths = own.map(({ path }) => path).join(" and ");
  throw new DpError("config", `${paths} are both for "${app}"`, { hint: "give each app a name of its own" });
}

/** The app's name in a deploy.yml, also in one that is no YAML, whose mistakes are told later; null: there is none. */
export function nameIn({ text }: OwnDeployYml): string | null {
  const { value, isBroken } = readYaml(text);
  if (isBroken) return /^name: *([a-z0-9-]+) *$/m.exec(text)?.[1] ?? null;
  return isMapping(value) && typeof value["name"] === "string" ? value["name"] : null;
}

/** The folder of the app in the repository, "" at the top; what is wrong in the file is not looked at. */
export function folderOf({ path, text }: OwnDeployYml): string {
  const { value } = readYaml(text);
  const root = isMapping(value) && typeof value["root"] === "string" ? value["root"] : "";
  return posix.join(posix.dirname(path), root).replace(/^\.$/, "");
}

/** Reads it as `parseDeployConfig` does; `root` is then relative to the repository's top. */
export function parseOwn({ path, text }: OwnDeployYml, types: Declared<AppSettings>, app?: string): DeployConfig {
  const config = parseDeployConfig(text, path, types, app);
  if (path === DEPLOY_YML) return config;
  return { ...config, root: posix.join(posix.dirname(path), config.root ?? "") };
}
