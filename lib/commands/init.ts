// `dp init`: deploy.yml for the app in a folder, or a small example app to start from.
import { lstat, mkdir, readdir, unlink, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import type { AppType } from "../app.ts";
import { codeOf, DpError } from "../errors.ts";
import { appName } from "../paths.ts";
import { didYouMean } from "../suggestion.ts";
import { render, schemaUrl, template, templates } from "../template.ts";
import { plainText } from "../talk/text.ts";
import { folderTree } from "../tree.ts";

export interface InitOptions {
  /** The folder of the app. */
  dir: string;
  /** The app's name; default: made from the folder's. */
  name?: string | undefined;
  /** The example to copy: "flask". */
  example?: string | undefined;
  /** The app types to look for, the first that fits wins. */
  types: readonly AppType[];
}

/** What was written, relative to the folder, and the commands to type next. */
export interface Initialised {
  files: string[];
  next: string[];
}

type Files = Record<string, string>;

/**
 * Writes deploy.yml, or the files of an example. Throws DpError "bug" when a file is there already, "config"
 * when no app type fits, "usage" for a bad name or an unknown example; then nothing was written.
 */
export async function init(options: InitOptions): Promise<Initialised> {
  const { dir, types, example } = options;
  const name = options.name === undefined ? nameOf(dir) : appName(options.name);
  const files = example === undefined ? await ownFiles(dir, name, types) : await exampleFiles(dir, name, example);
  const { parseDeployConfig } = await import("../config.ts");
  parseDeployConfig(
    files["deploy.yml"]!,
    "deploy.yml",
    types.map((type) => type.name),
  );
  await writeNew(dir, files);
  return { files: Object.keys(files), next: await nextSteps(dir, name, Object.keys(files), example !== undefined) };
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
    const message = `no name for an app can be made from the folder ${JSON.stringify(folder)}`;
    throw new DpError("usage", message, { cause, hint: "dp init --name NAME" });
  }
}

async function ownFiles(dir: string, name: string, types: readonly AppType[]): Promise<Files> {
  await refuseExisting(dir, ["deploy.yml"]);
  const tree = folderTree(dir);
  for (const type of types) {
    const found = await type.detect(tree);
    if (!found) continue;
    const { yamlScalar } = await import("../config/yaml-edit.ts");
    const proposed = found.command === null ? "# command: ./start.sh" : `command: ${yamlScalar(found.command)}`;
    const command = found.settings ?? proposed;
    const values = {
      schema: schemaUrl("deploy.schema.json"),
      name,
      type: type.name,
      healthCheck: found.healthCheck ?? "/health",
      because: plainText(found.because),
      command,
    };
    return { "deploy.yml": render(await template("deploy.yml"), values) };
  }
  const known = types.map((type) => `${type.name} (${type.summary})`).join(", ");
  throw new DpError("config", `no app found in this folder; dp knows ${known}`, { hint: "dp init --example flask" });
}

async function exampleFiles(dir: string, name: string, example: string): Promise<Files> {
  const names = (await readdir(join(templates, "apps"))).sort();
  if (!names.includes(example)) {
    const message = `unknown example ${JSON.stringify(example)}, there is ${names.join(", ")}`;
    throw new DpError("usage", message, didYouMean(example, names));
  }
  const files: Files = {};
  const entries = await readdir(join(templates, "apps", example), { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  for (const file of paths.map((path) => relative(join(templates, "apps", example), path)).sort()) {
    const text = await template(`apps/${example}/${file}`);
    files[file] = file === "deploy.yml" ? render(text, { schema: schemaUrl("deploy.schema.json"), name }) : text;
  }
  await refuseExisting(dir, Object.keys(files));
  return files;
}

async function refuseExisting(dir: string, names: readonly string[]): Promise<void> {
  const there: string[] = [];
  for (const name of names) {
    try {
      await lstat(join(dir, name));
      there.push(name);
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
    }
  }
  if (there.length > 0) throw alreadyThere(there.join(", "), names);
}

function alreadyThere(names: string, all: readonly string[]): DpError {
  const hint = all.length > 1 ? "run dp init in an empty folder" : "edit it, or move it away first";
  return new DpError("bug", `${names} already exists; nothing was written`, { hint });
}

// All of the files, or none: whoever creates one of them at the same moment wins.
async function writeNew(dir: string, files: Files): Promise<void> {
  const written: string[] = [];
  for (const [name, text] of Object.entries(files)) {
    const path = join(dir, name);
    try {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text, { flag: "wx", flush: true });
      written.push(path);
    } catch (error) {
      if (codeOf(error) !== "EEXIST") written.push(path);
      for (const mine of written) await unlink(mine).catch(ignoreMissing);
      throw codeOf(error) === "EEXIST" ? alreadyThere(name, Object.keys(files)) : error;
    }
  }
}

function ignoreMissing(error: unknown): void {
  if (codeOf(error) !== "ENOENT") throw error;
}

async function nextSteps(dir: string, name: string, files: string[], isExample: boolean): Promise<string[]> {
  const head = await folderTree(dir).read(".git/HEAD");
  const branch = /^ref: refs\/heads\/([\w./-]+)\s*$/.exec(head ?? "")?.[1] ?? "main";
  return [
    `ssh root@SERVER dp setup ${name} --port 8000`,
    ...(head === null ? ["git init -b main"] : []),
    head !== null || isExample ? `git add ${files.join(" ")}` : "git add .",
    'git commit -m "Deploy with dp"',
    `git remote add production ssh://root@SERVER/var/repos/${name}.git`,
    `git push production ${branch === "main" ? "main" : `${branch}:main`}`,
  ];
}
