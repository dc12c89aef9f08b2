// Why a commit cannot be deployed: a path that its deploy.yml names is missing, or leads out of the commit.
import { posix } from "node:path";
import { hookFile } from "../config/hook.ts";
import { problemLines, readYaml, type Path } from "../config/yaml.ts";
import { lfsProblems } from "../git/lfs.ts";
import type { Source } from "../git/source.ts";
import { submoduleProblems } from "../git/submodules.ts";
import type { Tree } from "../git/tree.ts";
import type { TreeEntry } from "../git/entries.ts";
import type { DeployConfig } from "../config/types.ts";
import { lineEndProblems } from "./line-ends.ts";

/** An error at a place of deploy.yml. */
interface Wrong {
  path: Path;
  what: string;
}

/** Why a path of the commit is not a folder with files, as the end of a sentence, or null. */
function folderProblem(entries: readonly TreeEntry[], folder: string): string | null {
  if (entries.some(({ path }) => path.startsWith(`${folder}/`))) return null;
  const other = entries.find(({ path }) => path === folder || folder.startsWith(`${path}/`));
  if (!other) return `the commit has no folder ${folder}`;
  if (other.kind === "submodule") return `${other.path} is a submodule, and dp reads only files of the commit itself`;
  return `${other.path} is a ${other.kind === "symlink" ? "symbolic link" : "file"} of the commit, not a folder`;
}

async function rootProblems(tree: Tree, { root }: DeployConfig): Promise<Wrong[]> {
  const what = root === undefined ? null : folderProblem(await tree.list(), root);
  return what === null ? [] : [{ path: ["root"], what }];
}

async function hookProblems(tree: Tree, { root = "", hooks }: DeployConfig): Promise<Wrong[]> {
  const problems: Wrong[] = [];
  const entries = await tree.list();
  for (const [name, line] of Object.entries(hooks)) {
    const script = line === undefined ? null : hookFile(line);
    if (script === null) continue;
    const file = posix.join(root, script);
    const entry = entries.find(({ path }) => path === file);
    const wrong = (what: string) => problems.push({ path: ["hooks", name], what });
    if (!entry) wrong(`the commit has no file ${file}`);
    else if (entry.kind !== "executable") wrong(`${file} is not executable: git update-index --chmod=+x ${file}`);
  }
  return problems;
}

/** An entry of the commit at a shared name that can neither be moved away nor built on, as the end of a sentence. */
function inTheWay(entries: readonly TreeEntry[], name: string, kind: "dirs" | "files"): string | null {
  const parts = name.split("/");
  const parents = parts.slice(1).map((_, index) => parts.slice(0, index + 1).join("/"));
  for (const { path, kind: is } of entries) {
    if (parents.includes(path) && is !== "submodule")
      return `${path} is a ${is === "symlink" ? "symbolic link" : "file"} of the commit, not a folder`;
    if (path === name && is === "symlink") return `${path} is a symbolic link of the commit: git rm --cached ${path}`;
    if (path === name && kind === "dirs" && is !== "submodule")
      return `${path} is a file of the commit: write it under shared.files`;
    if (kind === "files" && (path.startsWith(`${name}/`) || (path === name && is === "submodule")))
      return `${name} is a folder of the commit: write it under shared.dirs`;
  }
  return null;
}

async function sharedProblems(tree: Tree, { root = "", shared }: DeployConfig): Promise<Wrong[]> {
  const entries = await tree.list();
  const kinds = shared ? (["dirs", "files"] as const) : [];
  return kinds.flatMap((kind) =>
    shared![kind].flatMap((name, index) => {
      const what = inTheWay(entries, posix.join(root, name), kind);
      return what === null ? [] : [{ path: ["shared", kind, index], what }];
    }),
  );
}

async function treeProblems(tree: Tree): Promise<string[]> {
  const problems: string[] = [];
  for (const { path, kind } of await tree.list()) {
    if (kind !== "symlink") continue;
    const to = (await tree.link(path)) ?? "";
    const end = posix.normalize(posix.join(posix.dirname(path), to));
    if (to.startsWith("/") || end === ".." || end.startsWith("../"))
      problems.push(`${path}: a link out of the repository, to ${to}`);
  }
  return problems;
}

/** Every reason why a commit cannot be deployed, one line each; `text` is its deploy.yml, named `file`. */
export async function commitProblems(
  { tree, source }: { tree: Tree; source: Source },
  config: DeployConfig,
  text: string,
  file: string,
): Promise<string[]> {
  const yaml = readYaml(text);
  const wrong = await rootProblems(tree, config);
  // Without the app's folder there is nothing to look for in it.
  if (wrong.length === 0) {
    wrong.push(...(await hookProblems(tree, config)), ...(await sharedProblems(tree, config)));
    wrong.push(...(await lineEndProblems(tree, config)));
  }
  const placed = wrong.map((each) => ({ ...each, offset: yaml.offset(each.path, "value") }));
  const elsewhere = [...(await submoduleProblems(source)), ...(await lfsProblems(source))];
  return [...problemLines(file, yaml, placed), ...(await treeProblems(tree)), ...elsewhere];
}
