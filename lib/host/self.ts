// How dp starts itself again: from hooks, and as the process of a deploy.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { plainEnv } from "./run.ts";

// An installed dp is a link to one of the trees beside it, DIR -> DIR.d/VERSION. Paths written into hooks must survive
// the next upgrade, so they name the link.
const tree = resolve(import.meta.dir, "../..");
const installed = existsSync(join(tree, ".installed")) ? tree.replace(/\.d\/[^/]+$/, "") : null;

/** The folder of exactly this version when it is installed, otherwise null. */
export const installedTree = installed && tree;

/** The folder of this dp, by a path that survives upgrades. */
export const treeOfDp = installed ?? tree;

/**
 * The argv of one of dp's programs, absolute and hardened. Without these options bun would read bunfig.toml,
 * tsconfig.json (whose "paths" may replace the program itself) and .env of the current folder, and download missing
 * imports.
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

// Starts a supervisor, and a new one when it is killed; the new one adopts the running app. If the supervisor exits by
// itself, the guard exits with the same code.
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
 * The argv of the builtin supervisor, without its last argument, the spec: a shell that guards the program, and the
 * program. An installed dp has the program as one file with bytecode, which starts in half the time.
 */
export function supervisor(): string[] {
  const isBundled = installed !== null && existsSync(join(tree, "bundle/supervisor.js"));
  const path = isBundled ? "bundle/supervisor.js" : "lib/host/supervisor/supervisor.ts";
  return ["/bin/sh", "-c", GUARD, "sh", ...program(path)];
}

/** The argv of dp itself. */
export const SELF: readonly string[] = program("bin/dp");

/** The operator's variables that select the container engine of docker. */
export const ENGINE_VARIABLES = [
  ...["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "DOCKER_BUILDKIT"],
  "XDG_RUNTIME_DIR",
] as const;

/** The environment of the processes in which dp starts itself. */
export function selfEnv(): Record<string, string> {
  const env = plainEnv();
  for (const name of ["DP_ROOT", "DP_STEPS", "USER", "LOGNAME", ...ENGINE_VARIABLES]) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}
