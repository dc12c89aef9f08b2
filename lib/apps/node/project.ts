// A commit as a node app: its package manager, its installs, its runtime.
import { dirname } from "node:path";
import type { Place } from "../../contracts/app-type.ts";
import { DpError } from "../../errors.ts";
import type { Io } from "../../host/io.ts";
import { findProgram } from "../../host/program.ts";
import { findBun, findNode, type Interpreter } from "./interpreter.ts";
import { readPackageManager, type PackageManager } from "./lock.ts";
import { readPackage, type Package } from "./package.ts";
import { INSTALL_SCRIPTS } from "./script.ts";
import type { Wish } from "./version.ts";
import { engineWish, readNodeWishes } from "./wishes.ts";
import { findWorkspace, pnpmPackages, type Workspace } from "./workspace.ts";

/** A node app, as its files describe it. */
export interface Project {
  pkg: Package | null;
  /** The workspace in which its modules are installed; null: in its own folder. */
  workspace: Workspace | null;
  /** The package.json of the folder in which the modules are installed. */
  top: Package | null;
  manager: PackageManager;
  /** The conditions on the node version. */
  wishes: Wish[];
  /** It starts under bun and does not need node. */
  isBunApp: boolean;
  isWorkspace: boolean;
  hasDependencies: boolean;
  /** deploy.yml or package.json defines a build. */
  hasBuild: boolean;
  /** The scripts of that package.json that an install runs. */
  ownScripts: string[];
  /** A build and install scripts need development dependencies; without either they are never installed. */
  withDev: boolean;
}

const MENTIONS_BUN = /(?:^|[\s;&|(])bunx?\s/;

/** Reads the project from the commit. Throws DpError "config". */
export async function readProject(place: Pick<Place, "tree" | "config" | "commit">): Promise<Project> {
  const { tree, config } = place;
  const pkg = await readPackage(tree);
  const workspace = await findWorkspace(place);
  const [from, top] = workspace ? [workspace.tree, workspace.pkg] : [tree, pkg];
  const wishes = await readNodeWishes(workspace ? [tree, from] : [tree], workspace ? [pkg, top] : [pkg]);
  const startsBun = MENTIONS_BUN.test(config.command ?? pkg?.scripts["start"] ?? "");
  const read = await readPackageManager(from, top);
  const isFree = read.lock === null && read.pinned === null && wishes.length === 0;
  const isBun = isFree && (startsBun || pkg?.engines["bun"] !== undefined);
  const manager: PackageManager = isBun ? { ...read, kind: "bun", name: "bun" } : read;
  // Apps with a single package use the file as well, for pnpm's settings.
  const hasMembers =
    top !== null && (top.workspaces.length > 0 || (manager.kind === "pnpm" && (await pnpmPackages(from)).length > 0));
  const isWorkspace = workspace !== null || hasMembers;
  const hasDev = Object.keys(pkg?.devDependencies ?? {}).length > 0;
  const hasBuild = config.build !== undefined || Boolean(pkg?.scripts["build"]?.trim());
  const ownScripts = INSTALL_SCRIPTS.filter((name) => top?.scripts[name]?.trim());
  return {
    pkg,
    workspace,
    top,
    manager,
    wishes,
    isWorkspace,
    hasBuild,
    ownScripts,
    isBunApp: manager.kind === "bun" && wishes.length === 0,
    hasDependencies: hasDev || isWorkspace || Object.keys(pkg?.dependencies ?? {}).length > 0,
    // yarn 2 and later check the lock file only when they install everything.
    withDev: (hasDev || isWorkspace) && (hasBuild || ownScripts.length > 0 || manager.kind === "berry"),
  };
}

/** The programs that run a project, and their folders when the app's PATH lacks these. */
export interface Runners {
  /** The runtime of the app. */
  main: Interpreter;
  bun: Interpreter | null;
  path: string[];
}

/** Finds node, or bun, or both. Throws DpError "host", which names the installed ones. */
export async function findRunners(place: Place, project: Project, io: Io): Promise<Runners> {
  const { manager, pkg, wishes, isBunApp } = project;
  const bun = manager.kind === "bun" ? await findBun(place, engineWish("bun", pkg), io) : null;
  const node = isBunApp ? await nodeIfThere(place, io) : await findNode(place, wishes, io);
  const path: string[] = [];
  for (const found of [node, bun]) {
    if (found === null || (await findProgram(found.name, place.env["PATH"] ?? "")) === found.program) continue;
    path.push(dirname(found.program));
  }
  return { main: isBunApp ? bun! : node!, bun, path };
}

// Tools of a bun app, for its build or start, may be scripts for node.
async function nodeIfThere(place: Place, io: Io): Promise<Interpreter | null> {
  try {
    return await findNode(place, [], io);
  } catch (error) {
    if (error instanceof DpError && error.exit === "host") return null;
    throw error;
  }
}
