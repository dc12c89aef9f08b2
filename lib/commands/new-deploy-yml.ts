// The deploy.yml for a folder that has none: the type that its files fit, and what to check in it.
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { AppType, Detected } from "../contracts/app-type.ts";
import { DpError } from "../errors.ts";
import { folderTree, type Tree } from "../git/tree.ts";
import { render, template } from "../host/template.ts";
import { fitsFor, healthOf, healthText, innerFits, placeText, usualFit, type Fit } from "../release/fit.ts";
import { didYouMean } from "../text/suggestion.ts";
import { plainText } from "../text/text.ts";
import { withKeys } from "./set-keys.ts";

export interface Wishes {
  /** The folder of the app. */
  dir: string;
  /** The app's name; default: derived from the folder's. */
  name?: string | undefined;
  /** The app type; default: the one that fits the files. */
  type?: string | undefined;
  /** The app types to look for. */
  types: readonly AppType[];
  /** Asks which of several fitting types is meant; without it, the usual one is taken. */
  choose?: ((fits: readonly Fit[], usual: Fit) => Promise<Fit>) | undefined;
}

/** The choice behind the new deploy.yml, and its reason. */
interface Chosen {
  type: AppType;
  found: Detected | null;
  /** Why this type: "because of requirements.txt". */
  why: string;
  /** Other types that the files fit. */
  note: string | null;
}

/** Its text, and what to check in it. Throws DpError "config" when no type fits, "usage" for an unknown one. */
export async function newDeployYml(wishes: Wishes, name: string): Promise<{ text: string; edit: string[] }> {
  const tree = folderTree(wishes.dir);
  const chosen = await choice(wishes, tree);
  const { type, found } = chosen;
  const { yamlScalar } = await import("../config/yaml-edit.ts");
  const command = found?.command == null ? "" : `command: ${yamlScalar(found.command)}`;
  const health = await healthOf(tree, found);
  const settings = found?.settings ?? (await type.settings?.(tree));
  const values = {
    name,
    type: type.name,
    because: plainText(chosen.why),
    healthCheck: healthText(health.path, found?.host),
  };
  const text = withKeys(render(await template("deploy.yml"), values), settings ?? command);
  return { text, edit: editLines(chosen, health, settings) };
}

async function choice({ dir, type: wanted, types, choose }: Wishes, tree: Tree): Promise<Chosen> {
  if (wanted !== undefined) {
    const type = types.find(({ name }) => name === wanted);
    if (type) return { type, found: await type.detect(tree), why: "chosen by hand", note: null };
    const names = types.map(({ name }) => name);
    const message = `unknown app type ${JSON.stringify(wanted)}; the types are ${names.join(", ")}`;
    throw new DpError("usage", message, didYouMean(wanted, names));
  }
  const fits = await fitsFor(tree, types);
  const usual = await usualFit(fits);
  if (usual === undefined) return blank(dir, tree, types);
  const fit = fits.length > 1 && choose ? await choose(fits, usual) : usual;
  const others = fits.filter((other) => other !== fit);
  const all = others.map(
    ({ type, found }) => `for ${type.name} (${plainText(found.because)}): dp init --type ${type.name}`,
  );
  const note = all.length === 0 || choose ? null : `rm deploy.yml, and ${all.join(", or ")}`;
  return { ...fit, why: `because of ${fit.found.because}`, note };
}

const NO_CODE = /^(?:\.|README|LICEN[CS]E|CHANGELOG)/i;

/** The choice for an empty folder. Throws DpError "config" for a folder whose files no type recognises. */
async function blank(dir: string, tree: Tree, types: readonly AppType[]): Promise<Chosen> {
  const type = types.find(({ name }) => name === "python") ?? types[0]!;
  const entries = await tree.list();
  const isEmpty = entries.every(({ path }) => NO_CODE.test(path));
  if (isEmpty) return { type, found: null, why: "a guess: there are no files yet", note: null };
  // The list of a folder is a walk on the disk, and each type asks for it in each folder.
  const inner = await innerFits({ ...tree, list: async () => entries }, types);
  if (inner.length > 0) throw below(dir, inner);
  const known = types.map((each) => `${each.name} (${each.summary})`).join(", ");
  throw new DpError("config", `no app found in this folder; dp knows ${known}`, {
    hint: "dp init --type TYPE writes deploy.yml all the same; dp init --example flask a working app, in an empty folder",
  });
}

/** The error for a folder without an app, above folders with one. */
function below(dir: string, inner: Awaited<ReturnType<typeof innerFits>>): DpError {
  const places = inner.map(placeText).join(", ");
  const first = existsSync(join(dir, ".git")) ? "" : "git init -b main && ";
  const others = inner.length > 1 ? "; then so in each other folder that is to be deployed" : "";
  return new DpError("config", `no app found in this folder, but below it: ${places}`, {
    hint: `${first}cd ${inner[0]![0]} && dp init${others}`,
  });
}

/** What to check in the new file. */
function editLines(
  { type, found, why: because, note }: Chosen,
  health: Awaited<ReturnType<typeof healthOf>>,
  settings: string | undefined,
): string[] {
  const isKnown = found?.healthCheck !== undefined || type.settings !== undefined;
  const unknown = isKnown ? "" : ", as no health route was found in the code; it must answer with 200 to 299";
  const why = health.file === null ? unknown : `, from ${plainText(health.file)}`;
  return [
    `type: ${type.name}, ${plainText(because)}`,
    ...(note === null ? [] : [`      ${note}`]),
    `healthCheck: ${healthText(health.path, found?.host)}${why}`,
    ...(settings?.split("\n") ?? []).filter((line) => /^ *(?:build|root): /.test(line)).map((line) => line.trim()),
    ...(found?.advice ?? []).map((what) => `to do: ${plainText(what)}`),
    ...(found === null && settings === undefined ? ["command: the line that starts the app on $DP_HOST:$PORT"] : []),
  ];
}
