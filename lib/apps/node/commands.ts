// The commands of each package manager: to install exactly what is locked, and to remove what only a build needs.
import type { Kind, PackageManager } from "./lock.ts";
import type { Progress } from "../../text/fold.ts";
import type { Tool } from "./tool.ts";

/** The progress lines of package managers. */
export const PROGRESS: Progress = {
  "deprecated packages": /^npm warn deprecated |^warning .*\bdeprecated\b|^ ?WARN .*\bdeprecated\b/i,
  fetched: /^➤ YN0013: .*\bcan't be found in the cache/,
  installed: /^\+ (?:@[^\s/]+\/)?[^\s@]+@\S+/,
  "": /^Progress: (?!.*, done$)|^\++$|^\[\d\/\d\] /,
};

/** How modules are installed. */
export interface Wanted {
  /** With development dependencies. */
  withDev: boolean;
  /** The app is one of several packages in a repository. */
  isWorkspace: boolean;
}

const SILENT_NPM = ["--no-audit", "--no-fund", "--no-progress", "--no-update-notifier"];
// Links into pnpm's store would be the same files in every release, and NODE_PATH would name the folder of the first
// one.
const OWN_FILES = ["--config.package-import-method=clone-or-copy", "--config.extend-node-path=false"];

/** The words after the program that install. */
export function installWords({ kind, lock }: PackageManager, { withDev }: Wanted): string[] {
  const isLocked = lock !== null;
  switch (kind) {
    case "npm":
      return [
        ...(isLocked ? ["ci"] : ["install", "--no-package-lock"]),
        withDev ? "--include=dev" : "--omit=dev",
        ...SILENT_NPM,
      ];
    case "pnpm":
      return [
        "install",
        isLocked ? "--frozen-lockfile" : "--no-frozen-lockfile",
        withDev ? "--prod=false" : "--prod",
        ...OWN_FILES,
      ];
    case "yarn":
      return [
        "install",
        ...(isLocked ? ["--frozen-lockfile"] : ["--no-lockfile"]),
        `--production=${!withDev}`,
        "--non-interactive",
        "--no-progress",
      ];
    case "berry":
      // yarn checks its lock file only when it installs everything.
      return ["install", isLocked ? "--immutable" : "--no-immutable"];
    case "bun":
      // --backend: no links into a cache, as with pnpm.
      return [
        "install",
        ...(isLocked ? ["--frozen-lockfile"] : ["--no-save"]),
        ...(withDev ? [] : ["--production"]),
        "--backend=copyfile",
        "--no-progress",
      ];
  }
}

/** The words that remove installed development dependencies; null when the manager has no command for it. */
export function trimWords({ manager, version }: Tool, { isWorkspace }: Wanted): string[] | null {
  switch (manager.kind) {
    case "npm":
      return ["prune", "--omit=dev", "--offline", "--ignore-scripts", ...SILENT_NPM];
    case "pnpm":
      return isWorkspace ? null : ["prune", "--prod", "--ignore-scripts", ...OWN_FILES];
    case "yarn":
      return [...installWords(manager, { withDev: false, isWorkspace }), "--ignore-scripts", "--prefer-offline"];
    case "berry":
      return version.startsWith("3") ? null : ["workspaces", "focus", "--all", "--production"];
    case "bun":
      return null;
  }
}

/** Additional variables for a package manager. */
export function managerEnv(kind: Kind): Record<string, string> {
  // CI: there is nobody to answer questions, and progress comes as lines.
  const env = { CI: "true", COREPACK_ENABLE_DOWNLOAD_PROMPT: "0" };
  return kind === "berry" ? { ...env, ...BERRY } : env;
}

/**
 * Plug'n'Play makes no node_modules that could be kept, and leaves the packages in a cache that all releases would
 * share.
 */
export const BERRY = { YARN_NODE_LINKER: "node-modules", YARN_NM_MODE: "classic", YARN_ENABLE_TELEMETRY: "0" };

// An installer's message when package.json has changed and the lock file has not.
const OUT_OF_STEP =
  /can only install packages when your package\.json|ERR_PNPM_(?:OUTDATED_LOCKFILE|LOCKFILE_CONFIG_MISMATCH)|Your lockfile needs to be updated|YN0028|lockfile had changes, but lockfile is frozen/;

/** What to type when an install failed with this output; undefined when a stale lock file was not the cause. */
export function staleLockHint({ name, lock }: PackageManager, text: string): string | undefined {
  return lock !== null && OUT_OF_STEP.test(text) ? `${name} install, commit ${lock.path}, push` : undefined;
}

const MANUAL = /^npm (?:error|ERR!) (?:Clean install a project|Usage:)$/;

/** Passes the lines of an installer on as they come, without empty ones and the manual that ends npm's errors. */
export function withoutManual(write: (line: string) => void): (line: string) => void {
  let isManual = false;
  return (line) => {
    isManual ||= MANUAL.test(line);
    if (!isManual && !/^(?:npm (?:error|ERR!))?\s*$/.test(line)) write(line);
  };
}

/** The lines with the cause of a failed install: npm adds its whole manual, which would push them off the screen. */
export function reasonLines(text: string): string[] {
  const lines = text.split("\n");
  const manual = lines.findIndex((line) => MANUAL.test(line));
  const said = (manual < 0 ? lines : lines.slice(0, manual)).filter(
    (line) => !/^npm (?:error|ERR!)(?:$| A complete log| {5})/.test(line),
  );
  return said.slice(-25);
}
