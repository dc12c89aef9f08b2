// `dp init`: deploy.yml for the app in a folder, or a small example app to start from.
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import { appSettings } from "../config/kinds.ts";
import { DpError } from "../errors.ts";
import { appName } from "../paths.ts";
import { didYouMean } from "../text/suggestion.ts";
import { exampleNames, render, template, templates } from "../host/template.ts";
import { folderTree } from "../git/tree.ts";
import { newDeployYml, type Wishes } from "./new-deploy-yml.ts";
import { refuseExisting, writeNew } from "./new-files.ts";

export interface InitOptions extends Wishes {
  /** The name of the example to copy: "flask". */
  example?: string | undefined;
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
  const name = options.name === undefined ? nameOf(dir) : appName(options.name);
  const { files, edit } =
    example === undefined ? await ownFiles(options, name) : { files: await exampleFiles(dir, name, example), edit: [] };
  const { parseDeployConfig } = await import("../config/config.ts");
  parseDeployConfig(files["deploy.yml"]!, "deploy.yml", await appSettings());
  await writeNew(dir, files);
  return {
    files: Object.keys(files),
    edit,
    next: await nextSteps(dir, name, Object.keys(files), example !== undefined),
  };
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
  requireTop(resolve(wishes.dir));
  const { text, edit } = await newDeployYml(wishes, name);
  return { files: { "deploy.yml": text }, edit };
}

/** The top of the repository that contains a folder, or null. */
function topOf(dir: string): string | null {
  if (existsSync(join(dir, ".git"))) return dir;
  return dir === dirname(dir) ? null : topOf(dirname(dir));
}

/** Throws DpError "config" for a folder inside a repository: deploy.yml belongs at its top. */
function requireTop(dir: string): void {
  const top = topOf(dir);
  if (top === null || top === dir) return;
  throw new DpError("config", `this folder lies in the repository ${top}, and deploy.yml at its top`, {
    hint: `write ${join(top, "deploy.yml")} with root: ${relative(top, dir)}, or make this a repository: git init`,
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

async function nextSteps(dir: string, name: string, files: string[], isExample: boolean): Promise<string[]> {
  const head = await folderTree(dir).read(".git/HEAD");
  const branch = /^ref: refs\/heads\/([\w./-]+)\s*$/.exec(head ?? "")?.[1] ?? "main";
  return [
    `ssh root@SERVER dp setup ${name}`,
    ...(head === null ? ["git init -b main"] : []),
    head !== null || isExample ? `git add ${files.join(" ")}` : "git add .",
    'git commit -m "Deploy with dp"',
    `git remote add production ssh://root@SERVER/var/repos/${name}.git`,
    `git push production ${branch === "main" ? "main" : `${branch}:main`}`,
  ];
}
