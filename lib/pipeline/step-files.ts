// Which steps there are: dp's own, and the executables in the folder DP_STEPS.
import { accessSync, constants, readdirSync, statSync } from "node:fs";
import { join, parse } from "node:path";
import { DpError } from "../errors.ts";
import { didYouMean } from "../text/suggestion.ts";

/** A step as a file. `isModule`: one of dp's own, run in this process. */
export interface StepFile {
  name: string;
  path: string;
  isModule: boolean;
}

const own = join(import.meta.dir, "../../steps");

/** Every step: dp's own, and the executables in the folder DP_STEPS. Throws DpError "usage". */
export function stepFiles(): StepFile[] {
  const files = readdirSync(own).map((file) => ({
    name: parse(file).name,
    path: join(own, file),
    isModule: file.endsWith(".ts"),
  }));
  const extra = process.env["DP_STEPS"];
  if (!extra) return files;
  if (!extra.startsWith("/"))
    throw new DpError("usage", `DP_STEPS must be an absolute path, not ${JSON.stringify(extra)}`);
  if (!statSync(extra, { throwIfNoEntry: false })?.isDirectory())
    throw new DpError("usage", `DP_STEPS: there is no folder ${extra}`);
  for (const file of readdirSync(extra)) {
    const path = join(extra, file);
    if (!isExecutable(path)) continue;
    const { name } = parse(file);
    const twin = files.find((step) => step.name === name);
    if (twin) throw new DpError("usage", `${path}: a step named "${name}" exists already, ${twin.path}`);
    files.push({ name, path, isModule: false });
  }
  return files;
}

/** The step of that name; throws DpError "usage" when there is none. */
export function stepFile(name: string): StepFile {
  const files = stepFiles();
  const found = files.find((step) => step.name === name);
  if (found) return found;
  const names = files.map((step) => step.name);
  throw new DpError("usage", `unknown step ${JSON.stringify(name)}, see: dp step`, didYouMean(name, names));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
