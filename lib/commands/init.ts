// `dp init`: deploy.yml for the app in a folder, or a small example app to start from.
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import { appSettings } from "../config/kinds.ts";
import { DpError } from "../errors.ts";
import { appName } from "../paths.ts";
import { didYouMean } from "../text/suggestion.ts";
import { exampleNames, render, template, templates } from "../host/template.ts";
import { folderTree, type Tree } from "../git/tree.ts";
import { here } from "../remote/launch/hands.ts";
import { WORKFLOW, workflowFor } from "./github.ts";
import { newDeployYml, type Wishes } from "./new-deploy-yml.ts";
import { refuseExisting, writeNew } from "./new-files.ts";

export interface InitOptions extends Wishes {
  /** The name of the example to copy: "flask". */
  example?: string | undefined;
  /** Writes the workflow for GitHub as well; a deploy.yml that is there stays. */
  github?: boolean | undefined;
}

/** The written files, relative to the folder, what to check in them, and the commands to type next. */
export interface Initialised {
  files: string[];
  edit: string[];
  next: string[];
}

type Files = Record<string, string>;

/**
 * Writes deploy.yml, or the files of an example. Throws DpError "bug" when a file exists already, "config" when no app
 * type fits, "usage" for a bad name, an unknown type or example; then nothing is written.
 */
export async function init(options: InitOptions): Promise<Initialised> {
  const { dir, example } = options;
  if (options.github === true) requireTop(resolve(dir));
  if (options.github === true && example === undefined && (await folderTree(dir).read("deploy.yml")) !== null)
    return initWorkflow(dir);
  const name = options.name === undefined ? nameOf(dir) : appName(options.name);
  const { files, edit } =
    example === undefined ? await ownFiles(options, name) : { files: await exampleFiles(dir, name, example), edit: [] };
  const { parseDeployConfig } = await import("../config/config.ts");
  parseDeployConfig(files["deploy.yml"]!, "deploy.yml", await appSettings());
  const workflow = options.github === true ? await workflowFor(dir, name, await branchOf(dir)) : null;
  if (workflow !== null) {
    await refuseExisting(dir, [WORKFLOW]);
    files[WORKFLOW] = workflow.text;
  }
  await writeNew(dir, files);
  return {
    files: Object.keys(files),
    edit: [...edit, ...(workflow?.edit ?? [])],
    next: [...nextSteps(dir, Object.keys(files), example !== undefined, name), ...(workflow?.next.slice(0, 2) ?? [])],
  };
}

/** Writes the workflow alone, for the app of the deploy.yml that is there. Throws DpError as `init` does. */
async function initWorkflow(dir: string): Promise<Initialised> {
  const { parseDeployConfig } = await import("../config/config.ts");
  const text = (await folderTree(dir).read("deploy.yml"))!;
  const { name } = parseDeployConfig(text, "deploy.yml", await appSettings());
  const workflow = await workflowFor(dir, name, await branchOf(dir));
  await refuseExisting(dir, [WORKFLOW]);
  await writeNew(dir, { [WORKFLOW]: workflow.text });
  return { files: [WORKFLOW], edit: workflow.edit, next: workflow.next };
}

function nameOf(dir: string): string {
  const folder = basename(resolve(dir));
  const words = folder.toLowerCase().normalize("NFKD").replace(/\p{M}/gu, "");
  const name = words
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^[^a-z]+/, "")
    .slice(0, 28)
    .replace(/-$/, "");
  try {
    return appName(name);
  } catch (cause) {
    const message = `the folder name ${JSON.stringify(folder)} cannot be the name of an app`;
    throw new DpError("usage", message, { cause, hint: "dp init --name NAME" });
  }
}

async function ownFiles(wishes: Wishes, name: string): Promise<{ files: Files; edit: string[] }> {
  await refuseExisting(wishes.dir, ["deploy.yml"]);
  const dir = resolve(wishes.dir);
  const top = topOf(dir) ?? dir;
  await requireOwn(top, relative(top, dir), name);
  const { text, edit } = await newDeployYml(wishes, name);
  const folder = top === dir ? [] : [`folder: ${relative(top, dir)}, of the repository ${top}`];
  return { files: { "deploy.yml": text }, edit: [...folder, ...edit] };
}

/** The top of the repository that contains a folder, or null. */
function topOf(dir: string): string | null {
  if (existsSync(join(dir, ".git"))) return dir;
  return dir === dirname(dir) ? null : topOf(dirname(dir));
}

/** Throws DpError "config" when dp would not read a deploy.yml in this folder of a repository, or not for this app. */
async function requireOwn(top: string, folder: string, name: string): Promise<void> {
  const { deployYmls, folderOf, isAppFolder, nameIn } = await import("../release/own-deploy-yml.ts");
  if (folder !== "" && !isAppFolder(folder))
    throw new DpError("config", `dp reads no deploy.yml in ${folder}`, { hint: "name the folder plainly: api" });
  for (const each of await deployYmls(await filesOf(top))) {
    const path = join(top, each.path);
    if (folder !== "" && folderOf(each) === folder)
      throw new DpError("config", `${path} is for this folder already`, { hint: `edit it, or: rm ${path}` });
    if (nameIn(each) === name)
      throw new DpError("config", `${path} is for "${name}" already`, { hint: "dp init --name NAME" });
  }
}

/** The files of a repository that are called deploy.yml, without those that git ignores. */
async function filesOf(top: string): Promise<Tree> {
  const argv = ["git", "-C", top, "ls-files", "--cached", "--others", "--exclude-standard", "--", "*/deploy.yml"];
  const { text } = Bun.which("git") === null ? { text: "" } : await here(...argv);
  const entries = text.split("\n").map((path) => ({ path, kind: "file" as const }));
  return { ...folderTree(top), list: async () => entries };
}

/** Throws DpError "config" for a folder inside a repository: GitHub reads workflows at its top. */
function requireTop(dir: string): void {
  const top = topOf(dir);
  if (top === null || top === dir) return;
  throw new DpError("config", `this folder lies in the repository ${top}, and a workflow belongs at its top`, {
    hint: "dp init without --github writes deploy.yml",
  });
}

async function exampleFiles(dir: string, name: string, example: string): Promise<Files> {
  const names = exampleNames();
  if (!names.includes(example)) {
    const message = `unknown example ${JSON.stringify(example)}; the examples are ${names.join(", ")}`;
    throw new DpError("usage", message, didYouMean(example, names));
  }
  const files: Files = {};
  for (const file of await filesBelow(join(templates, "apps", example))) {
    const text = await template(`apps/${example}/${file}`);
    files[file] = file === "deploy.yml" ? render(text, { name }) : text;
  }
  await refuseExisting(dir, Object.keys(files));
  return files;
}

/** The files of a folder and its subfolders, as relative paths, hidden ones included. */
async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.map((entry) => relative(folder, join(entry.parentPath, entry.name))).sort();
}

/** The branch that is checked out; main where that is not known. */
async function branchOf(dir: string): Promise<string> {
  const head = await folderTree(dir).read(".git/HEAD");
  return /^ref: refs\/heads\/([\w./-]+)\s*$/.exec(head ?? "")?.[1] ?? "main";
}

function nextSteps(dir: string, files: string[], isExample: boolean, name: string): string[] {
  const top = topOf(resolve(dir));
  // Several apps of a repository need a remote each.
  const remote = top === null || top === resolve(dir) ? "" : ` --remote ${name}`;
  return [
    ...(top === null ? ["git init -b main"] : []),
    top !== null || isExample ? `git add ${files.join(" ")}` : "git add .",
    'git commit -m "Deploy with dp"',
    `dp launch root@SERVER${remote}`,
  ];
}
