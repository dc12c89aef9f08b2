// The variables by which JavaScriptCore compiles less, or later.
import { join } from "node:path";
import { textIfThere } from "./files.ts";
import { installedTree, treeOfDp } from "./self.ts";

// With these the command of install.sh starts dp: no program that dp starts gets them, but one that shares its work.
const NAMES = ["BUN_JSC_useDFGJIT", "BUN_JSC_useBaselineJIT", "BUN_JSC_useRegExpJIT"];

/**
 * Variables of programs that run long, by install.sh: lines of NAME=VALUE that the installed dp starts with. It may be
 * missing; null: dp is not installed.
 */
export const variablesFile = installedTree && join(treeOfDp, "bundle/variables");

/** What is in it now. */
export function variables(): Record<string, string> {
  const text = variablesFile === null ? "" : (textIfThere(variablesFile) ?? "");
  return Object.fromEntries([...text.matchAll(/^(\w+)=(\w+)$/gm)].map(([, name, value]) => [name!, value!]));
}

const taken: Record<string, string> = {};

/** Takes them out of the environment. */
export function takeCompilers(): void {
  for (const name of NAMES) {
    const value = process.env[name];
    if (value !== undefined) taken[name] = value;
    delete process.env[name];
  }
}

/** Those that were there. */
export const compilers = (): Readonly<Record<string, string>> => taken;
