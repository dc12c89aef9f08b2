// What a commit says of itself as a node app: its package manager, what is installed and when, what it runs on.
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

/** A node app, by its files. */
export interface Project {
  pkg: Package | null;
  /** The workspace in which its modules are installed; null: in its own folder. */
  workspace: Workspace | null;
  /** The package.json of the folder in which they are. */
  top: Package | null;
  manager: PackageManager;
  /** What node must be. */
  wishes: Wish[];
  /** It starts under bun: nothing of it asks for node. */
  isBunApp: boolean;
  isWorkspace: boolean;
  hasDependencies: boolean;
  /** deploy.yml or package.json says how it is built. */
  hasBuild: boolean;
  /** The scripts of that package.json that an install runs. */
  ownScripts: string[];
  /** A build and its own scripts need development dependencies; without either they are never installed. */
  withDev: boolean;
}

const MENTIONS_BUN = /(?:^|[\s;&|(])bunx?\s/;

/** Reads the project out of the commit. Throws DpError "config". */
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
  // The file holds pnpm's settings too, of apps that are one package.
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
    // yarn since 2 looks at its lock file only when it installs everything.
    withDev: (hasDev || isWorkspace) && (hasBuild || ownScripts.length > 0 || manager.kind === "berry"),
  };
}

/** The programs that run a project, and the folders that lead to them when the app's PATH does not. */
export interface Runners {
  /** What the app runs on. */
  main: Interpreter;
  bun: Interpreter | null;
  path: string[];
}

/** Finds node, or bun, or both. Throws DpError "host" that names what is installed. */
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

// Tools that an app of bun uses, to build or to start, may be scripts for node.
async function nodeIfThere(place: Place, io: Io): Promise<Interpreter | null> {
  try {
    return await findNode(place, [], io);
  } catch (error) {
    if (error instanceof DpError && error.exit === "host") return null;
    throw error;
  }
}
