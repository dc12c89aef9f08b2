// How this dp is started again, by hooks and for a deploy's own process.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { plainEnv } from "./run.ts";

// An installed dp is a link to one of the trees beside it, DIR -> DIR.d/VERSION: what is written into hooks must
// outlive the next upgrade, so it names the link.
const tree = resolve(import.meta.dir, "../..");
const installed = existsSync(join(tree, ".installed")) ? tree.replace(/\.d\/[^/]+$/, "") : null;

/** The folder of this very version when it is an installed one, else null. */
export const installedTree = installed && tree;

/** The folder of this dp, by a name that outlives upgrades. */
export const treeOfDp = installed ?? tree;

/**
 * The argv of one of dp's programs, absolute, and hardened: bun would read bunfig.toml, tsconfig.json (whose
 * "paths" may replace the program itself) and .env of the current folder, and download what it cannot import.
 */
export function program(path: string): string[] {
  return [
    installed ? join(installed, "bun/bin/bun") : process.execPath,
    "--no-env-file",
    "--config=/dev/null",
    "--tsconfig-override=/dev/null",
    "--no-install",
    join(treeOfDp, path),
  ];
}

// Starts a supervisor, and another one when it was killed, which finds the app and goes on with it. Whatever it ends with
// by itself is the end.
const GUARD = `asked= child= pause=0
trap "" HUP INT
trap 'asked=1; [ -z "$child" ] || kill -s TERM $child 2>/dev/null' TERM
while [ -z "$asked" ]; do
    "$@" & child=$!
    while wait $child; code=$?; kill -0 $child 2>/dev/null; do :; done
    child=
    [ $code -gt 128 ] || exit $code
    sleep $pause
    [ $pause -ge 5 ] || pause=$((pause + 1))
    export DP_AGAIN=1
done`;

/**
 * The argv of the builtin supervisor, which wants its spec as the last argument: a shell that guards it, and the program.
 * An installation has that in one file with bytecode, which starts in half the time.
 */
export function supervisor(): string[] {
  const isBundled = installed !== null && existsSync(join(tree, "bundle/supervisor.js"));
  const path = isBundled ? "bundle/supervisor.js" : "lib/host/supervisor/supervisor.ts";
  return ["/bin/sh", "-c", GUARD, "sh", ...program(path)];
}

/** The argv of dp itself. */
export const SELF: readonly string[] = program("bin/dp");

/** Variables of the operator that say which container engine docker talks to. */
export const ENGINE_VARIABLES = [
  ...["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "DOCKER_BUILDKIT"],
  "XDG_RUNTIME_DIR",
] as const;

/** The environment in which dp starts itself. */
export function selfEnv(): Record<string, string> {
  const env = plainEnv();
  for (const name of ["DP_ROOT", "DP_STEPS", "USER", "LOGNAME", ...ENGINE_VARIABLES]) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}
