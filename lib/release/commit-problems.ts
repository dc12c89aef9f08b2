// What of a commit cannot be deployed: what its deploy.yml names must be in it, and nothing may lead out of it.
import { posix } from "node:path";
import type { DeployConfig } from "../config.ts";
import { hookFile } from "../config/hook.ts";
import { problemLines, readYaml, type Path } from "../config/yaml.ts";
import type { Tree, TreeEntry } from "../tree.ts";

/** Something wrong at a place of deploy.yml. */
interface Wrong {
  path: Path;
  what: string;
}

async function hookProblems(tree: Tree, { hooks }: DeployConfig): Promise<Wrong[]> {
  const problems: Wrong[] = [];
  const entries = await tree.list();
  for (const [name, line] of Object.entries(hooks)) {
    const file = line === undefined ? null : hookFile(line);
    if (file === null) continue;
    const entry = entries.find(({ path }) => path === file);
    const wrong = (what: string) => problems.push({ path: ["hooks", name], what });
    if (!entry) wrong(`the commit has no file ${file}`);
    else if (entry.kind !== "executable") wrong(`${file} is not executable: git update-index --chmod=+x ${file}`);
    else if (/^#![^\n]*\r\n/.test((await tree.read(file)) ?? "")) wrong(`${file} has Windows line ends`);
  }
  return problems;
}

/** What the commit has at a shared name that cannot be moved away or built on, as the rest of a sentence. */
function inTheWay(entries: readonly TreeEntry[], name: string, kind: "dirs" | "files"): string | null {
  const parts = name.split("/");
  const parents = parts.slice(1).map((_, index) => parts.slice(0, index + 1).join("/"));
  for (const { path, kind: is } of entries) {
    if (parents.includes(path) && is !== "submodule")
      return `${path} is a ${is === "symlink" ? "symbolic link" : "file"} of the commit, no folder`;
    if (path === name && is === "symlink") return `${path} is a symbolic link of the commit: git rm --cached ${path}`;
    if (path === name && kind === "dirs" && is !== "submodule")
      return `${path} is a file of the commit: write it under shared.files`;
    if (kind === "files" && (path.startsWith(`${name}/`) || (path === name && is === "submodule")))
      return `${name} is a folder of the commit: write it under shared.dirs`;
  }
  return null;
}

async function sharedProblems(tree: Tree, { shared }: DeployConfig): Promise<Wrong[]> {
  const entries = await tree.list();
  const kinds = shared ? (["dirs", "files"] as const) : [];
  return kinds.flatMap((kind) =>
    shared![kind].flatMap((name, index) => {
      const what = inTheWay(entries, name, kind);
      return what === null ? [] : [{ path: ["shared", kind, index], what }];
    }),
  );
}

async function treeProblems(tree: Tree): Promise<string[]> {
  const problems: string[] = [];
  for (const { path, kind } of await tree.list()) {
    if (kind === "submodule") problems.push(`${path}: submodules are not deployed; commit the files themselves`);
    if (kind !== "symlink") continue;
    const to = (await tree.link(path)) ?? "";
    const end = posix.normalize(posix.join(posix.dirname(path), to));
    if (to.startsWith("/") || end === ".." || end.startsWith("../"))
      problems.push(`${path}: a link out of the repository, to ${to}`);
  }
  return problems;
}

/** Every reason why a commit cannot be deployed, one a line; `text` is its deploy.yml, as `file`. */
export async function commitProblems(tree: Tree, config: DeployConfig, text: string, file: string): Promise<string[]> {
  const yaml = readYaml(text);
  const wrong = [...(await hookProblems(tree, config)), ...(await sharedProblems(tree, config))];
  const placed = wrong.map((each) => ({ ...each, offset: yaml.offset(each.path, "value") }));
  return [...problemLines(file, yaml, placed), ...(await treeProblems(tree))];
}
