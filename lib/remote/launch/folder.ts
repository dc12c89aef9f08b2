// The first step of `dp launch`: the app in the current folder is a commit with a deploy.yml that dp understands.
import { existsSync } from "node:fs";
import { posix } from "node:path";
import { appSettings } from "../../config/kinds.ts";
import type { DeployConfig } from "../../config/types.ts";
import { DpError } from "../../errors.ts";
import { readCommitted } from "../../git/committed.ts";
import { commitTree, type Tree } from "../../git/tree.ts";
import { appName } from "../../paths.ts";
import { DEPLOY_YML, deployYmlOf, innerPaths, isAppFolder, parseOwn } from "../../release/own-deploy-yml.ts";
import { here } from "./hands.ts";

/** What is launched. */
export interface Folder {
  /** The app's name on the server. */
  app: string;
  config: DeployConfig;
  /** The commit that is pushed, and its files. */
  sha: string;
  tree: Tree;
  /** How many changed files are not in the commit. */
  uncommitted: number;
}

/** What commits: all files for a first commit, so that the app is in it. */
const commit = (what: string) => `git add ${what} && git commit -m "Deploy with dp"`;

/** What makes the deploy.yml; `dp init` refuses where there is one. */
const init = () => (existsSync("deploy.yml") ? "" : "dp init && ");

/** Reads the folder. Throws DpError "usage" when something is missing, "config" for a deploy.yml with mistakes. */
export async function readFolder(app: string | undefined): Promise<Folder> {
  const repository = await here("git", "rev-parse", "--absolute-git-dir");
  if (repository.code !== 0)
    throw lacking("this folder is no git repository", `git init -b main && ${init()}${commit(".")}`);
  const head = await here("git", "rev-parse", "--verify", "--quiet", "HEAD^{commit}");
  if (head.code !== 0) throw lacking("this repository has no commit yet", `${init()}${commit(".")}`);
  const tree = commitTree(repository.text, head.text);
  const path = await pathHere();
  const text = await readCommitted(tree, path);
  const own = await here("git", "status", "--porcelain", "--", `:/${path}`);
  if (own.text !== "") throw lacking(`${path} is not in the last commit as it is here`, commit("deploy.yml"));
  if (text === null) throw await without(tree);
  const config = parseOwn({ path, text }, await appSettings());
  await requireRead(tree, path, config.name);
  const changed = await here("git", "status", "--porcelain", "--untracked-files=no");
  const uncommitted = changed.text.split("\n").filter(Boolean).length;
  return { app: appName(app ?? config.name), config, sha: head.text, tree, uncommitted };
}

/** The deploy.yml of the current folder, else that of the repository's top, as a path from there. */
async function pathHere(): Promise<string> {
  const { text: folder } = await here("git", "rev-parse", "--show-prefix");
  return existsSync(DEPLOY_YML) ? `${folder}${DEPLOY_YML}` : DEPLOY_YML;
}

async function without(tree: Tree): Promise<DpError> {
  const inner = innerPaths(await tree.list());
  if (inner.length === 0) return lacking("the last commit has no deploy.yml", `dp init && ${commit(DEPLOY_YML)}`);
  const hint = `type it in the app's folder: cd ${posix.dirname(inner[0]!)}`;
  return lacking(`the last commit has no deploy.yml at its top, but ${inner.join(", ")}`, hint);
}

/** Throws DpError "config" when the server would read another file of the commit. */
async function requireRead(tree: Tree, path: string, name: string): Promise<void> {
  const read = (await deployYmlOf(tree, name))?.path;
  if (read === path) return;
  if (!isAppFolder(posix.dirname(path)))
    throw new DpError("config", `dp reads no deploy.yml in ${posix.dirname(path)}`, {
      hint: "name the folder plainly: api",
    });
  throw new DpError("config", `${path} and ${read} are both for "${name}"`, { hint: `write another name: in ${path}` });
}

const lacking = (what: string, hint: string) => new DpError("usage", what, { hint });
