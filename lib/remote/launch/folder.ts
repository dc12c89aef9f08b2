// The first step of `dp launch`: the app in the current folder is a commit with a deploy.yml that dp understands.
import { existsSync } from "node:fs";
import { parseDeployConfig } from "../../config/config.ts";
import { appSettings } from "../../config/kinds.ts";
import type { DeployConfig } from "../../config/types.ts";
import { DpError } from "../../errors.ts";
import { readCommitted } from "../../git/committed.ts";
import { commitTree, type Tree } from "../../git/tree.ts";
import { appName } from "../../paths.ts";
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
  const text = await readCommitted(tree, "deploy.yml");
  const own = await here("git", "status", "--porcelain", "--", ":/deploy.yml");
  if (own.text !== "") throw lacking("deploy.yml is not in the last commit as it is here", commit("deploy.yml"));
  if (text === null) throw lacking("the last commit has no deploy.yml", `dp init && ${commit("deploy.yml")}`);
  const config = parseDeployConfig(text, "deploy.yml", await appSettings());
  const changed = await here("git", "status", "--porcelain", "--untracked-files=no");
  const uncommitted = changed.text.split("\n").filter(Boolean).length;
  return { app: appName(app ?? config.name), config, sha: head.text, tree, uncommitted };
}

const lacking = (what: string, hint: string) => new DpError("usage", what, { hint });
