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

/** The Bun that runs dp: an installed dp has its own. */
export const BUN = installed ? join(installed, "bun/bin/bun") : process.execPath;

/**
 * The argv of a file of dp's, absolute and hardened. Without these options bun would read bunfig.toml,
 * tsconfig.json (whose "paths" may replace the program itself) and .env of the current folder, and download missing
 * imports.
 */
export function fromSource(path: string): string[] {
  return [
    BUN,
    "--no-env-file",
    "--config=/dev/null",
    "--tsconfig-override=/dev/null",
    "--no-install",
    join(treeOfDp, path),
  ];
}

/** The argv of dp itself. An installed dp is one program: see lib/bundle/. */
export const SELF: readonly string[] = installed ? [join(installed, "bundle/dp")] : fromSource("bin/dp");

/** The argv of another of dp's programs, by the path of its source: one that bundle/entry.ts names. */
export const program = (path: string): string[] => (installed ? [...SELF, "program", path] : fromSource(path));

// Starts a supervisor, and a new one when it is killed; the new one adopts the running app. If the supervisor exits by
// itself, the guard exits with the same code. With DP_SHARED, an order, a supervisor of many instances has this one: the guard
// writes a line to 4 when it is ready and one for each SIGTERM, and waits on 3 for the word that the instance has ended. With
// the word 254 it starts a supervisor for this instance alone. Without a word the other one was killed: it does the same, but
// DP_TURN seconds later, because all guards do. It writes a line when it takes over, and the supervisor gets the order.
const GUARD = `asked= child= pause=0
trap "" HUP INT
trap : PIPE
trap 'asked=1; [ -z "$DP_SHARED" ] || echo >&4; [ -z "$child" ] || kill -s TERM $child 2>/dev/null' TERM
[ -z "$DP_SHARED" ] || echo >&4
await_word() { trap "" TERM; exec 4>&-; read -r code <&3 && exit "$code"; exit 255; }
while [ -z "$asked" ] || [ -n "$DP_SHARED" ]; do
    if [ -n "$DP_SHARED" ]; then await_word & else "$@" & fi
    child=$!
    while wait $child; code=$?; kill -0 $child 2>/dev/null; do :; done
    child=
    [ $code -gt 128 ] || exit $code
    if [ -n "$DP_SHARED" ]; then
        case $code in 254) ;; 255) sleep "$DP_TURN" & wait $! ;; *) continue ;; esac
        echo >&4
        DP_AGAIN=$DP_SHARED
        unset DP_SHARED DP_TURN
        exec 3<&- 4>&-
        [ -z "$asked" ] || exit 0
    fi
    sleep $pause
    [ $pause -ge 5 ] || pause=$((pause + 1))
    export DP_AGAIN="\${DP_AGAIN:-1}"
done`;

/** What the argument of a supervisor of many instances begins with, in place of a spec; its name follows. */
export const SHARED = "shared:";

const SUPERVISOR = "lib/host/supervisor/supervisor.ts";

/** The argv of the builtin supervisor, without its last argument, the spec: a shell that guards the program, and the program. */
export const supervisor = (): string[] => ["/bin/sh", "-c", GUARD, "sh", ...program(SUPERVISOR)];

/** The argv of a supervisor of many instances, which has no guard of its own: its instances have. */
export const sharedSupervisor = (name: string): string[] => [...program(SUPERVISOR), `${SHARED}${name}`];

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
