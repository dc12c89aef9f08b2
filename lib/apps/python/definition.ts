// The definition of an app's dependencies: the files that count, and their content.
import { DpError } from "../../errors.ts";
import type { Tree } from "../../git/tree.ts";
import { readCommitted } from "../../git/committed.ts";
import { readPyproject, type Pyproject } from "./pyproject.ts";
import { isLocalRequirement, normalName, readRequirements, requestedNames } from "./requirements.ts";
import type { UvWorkspace } from "./uv-workspace.ts";
import { withVariables, type Variables } from "./variables.ts";
import { isFromIndex, locksLocal, parseUvLock, requireNamed, rootOf, type LockedPackage } from "./uv-lock.ts";

/** The dependencies of a commit, as its files define them. */
export interface Definition {
  /** The file that counts. */
  from: "uv.lock" | "requirements.txt" | "pyproject.toml";
  /** Path -> text, with its variables replaced, of every file whose content affects the install. */
  files: ReadonlyMap<string, string>;
  /** Normalised names of the requested packages, and of the servers that they bring; for a lock, of all locked packages. */
  names: ReadonlySet<string>;
  /** The install includes files of the release itself, so the result must not be shared. */
  isLocal: boolean;
  /** requirements.txt with hashes: every line must have one. */
  isHashed: boolean;
  project: Pyproject | null;
  /** The uv.lock belongs to a workspace above the app's folder. */
  isWorkspace?: boolean;
  /** The packages of a uv.lock, otherwise none. */
  packages: readonly LockedPackage[];
}

const FOREIGN: Record<string, string> = {
  "poetry.lock": "poetry export -o requirements.txt",
  Pipfile: "pipenv requirements > requirements.txt",
  "Pipfile.lock": "pipenv requirements > requirements.txt",
  "pylock.toml": "pip freeze > requirements.txt",
};

/**
 * Reads the definition of the dependencies: uv.lock, otherwise requirements.txt, otherwise the workspace's uv.lock,
 * otherwise pyproject.toml. Without a lock the files may contain variables of the app. Null when there is nothing to
 * install. Throws DpError "config", also for lock files that dp cannot install.
 */
export async function readDefinition(
  tree: Tree,
  variables: Variables = {},
  workspace: UvWorkspace | null = null,
): Promise<Definition | null> {
  const project = await readPyproject(tree);
  const lock = await readCommitted(tree, "uv.lock");
  if (lock !== null) return fromLock(tree, lock, project);
  const requirements = await readRequirements(tree, variables);
  if (requirements?.isEmpty) return null;
  if (requirements) return { ...requirements, from: "requirements.txt", project, packages: [] };
  if (project && workspace) return fromWorkspace(tree, workspace, project);
  await refuseForeign(tree);
  return project ? fromPyproject(tree, project, variables) : null;
}

async function refuseForeign(tree: Tree): Promise<void> {
  const paths = new Set((await tree.list()).map((entry) => entry.path));
  for (const [path, command] of Object.entries(FOREIGN)) {
    if (!paths.has(path)) continue;
    throw new DpError(
      "config",
      `${path}: dp installs from uv.lock, requirements.txt or pyproject.toml, not from this`,
      {
        hint: `${command}, commit it, push`,
      },
    );
  }
}

/** pyproject.toml and uv's own settings, which matter with or without a lock. */
async function projectFiles(tree: Tree, variables: Variables): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const path of ["pyproject.toml", "uv.toml"]) {
    const text = await readCommitted(tree, path);
    if (text !== null) files.set(path, withVariables(text, variables));
  }
  return files;
}

async function fromLock(tree: Tree, lock: string, project: Pyproject | null): Promise<Definition | null> {
  if (!project)
    throw new DpError("config", "uv.lock needs the pyproject.toml that it was made from", {
      hint: "git add pyproject.toml",
    });
  const packages = parseUvLock(lock);
  const root = rootOf(packages);
  if (root) requireNamed(root, project);
  const isLocal = locksLocal(packages);
  if (root && !isLocal && packages.length === 1) return null;
  const files = (await projectFiles(tree, {})).set("uv.lock", lock);
  const names = new Set(packages.filter((locked) => locked !== root).map((locked) => normalName(locked.name)));
  return { from: "uv.lock", files, names, isLocal, isHashed: true, project, packages };
}

/** Never shared: members of a workspace are installed as links to their folders in the release. */
async function fromWorkspace(tree: Tree, { lock, pyproject }: UvWorkspace, project: Pyproject): Promise<Definition> {
  const packages = parseUvLock(lock);
  const own = packages.find(
    (locked) => !isFromIndex(locked) && normalName(locked.name) === normalName(project.name ?? ""),
  );
  if (own) requireNamed(own, project);
  const files = (await projectFiles(tree, {})).set("uv.lock", lock).set("pyproject.toml of the workspace", pyproject);
  const names = new Set(packages.map((locked) => normalName(locked.name)));
  return { from: "uv.lock", files, names, isLocal: true, isHashed: true, project, packages, isWorkspace: true };
}

async function fromPyproject(tree: Tree, project: Pyproject, variables: Variables): Promise<Definition | null> {
  if (project.dependencies.length === 0 && !project.isPackage) return null;
  const fromFolder = Object.values(project.sources).some((source) =>
    /"(path|workspace)":/.test(JSON.stringify(source)),
  );
  return {
    from: "pyproject.toml",
    files: await projectFiles(tree, variables),
    names: new Set(project.dependencies.flatMap((text) => requestedNames(text))),
    isLocal: project.isPackage || fromFolder || project.dependencies.some((text) => isLocalRequirement(text)),
    isHashed: false,
    project,
    packages: [],
  };
}
