// The variables with which the command of install.sh starts dp without some compilers of JavaScriptCore: no program that dp
// starts gets them, but one that shares its work.
const NAMES = ["BUN_JSC_useDFGJIT", "BUN_JSC_useBaselineJIT", "BUN_JSC_useRegExpJIT"];

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
