// Isolates builds and hooks: their own mounts, processes and IPC, and no app's files but their own.
import { totalmem } from "node:os";
import { program } from "./privilege.ts";
import { deployments, places, root } from "../../paths.ts";

/** The paths in the app's base that a command may write to, if its user has the right. */
export interface Walls {
  app: string;
  opens: readonly string[];
}

// The tmpfs uses memory: a command that needs more space has $TMPDIR, on the disk.
const ROOM = `size=${Math.min(2 ** 30, Math.floor(totalmem() / 4))},nr_inodes=100k,mode=1777,nosuid,nodev`;

// Runs as root, in its own mount namespace. The app's base is moved aside, an empty folder is mounted over all apps, and
// the base is moved back into it, read-only. The shell is pid 1 of the namespace: it waits, and all others end with it.
const RAISE = `set -e
mount -t tmpfs -o ${ROOM} dp-tmp /tmp
mount --bind /tmp /var/tmp
[ ! -d /dev/shm ] || mount -t tmpfs -o ${ROOM} dp-shm /dev/shm
[ ! -d /run/systemd/journal ] || mount -t tmpfs -o size=4k,mode=0 dp-journal /run/systemd/journal
apps=$1 base=$2; shift 2
mkdir -m 700 /tmp/.dp
mount --rbind "$base" /tmp/.dp
mount -t tmpfs -o size=64k,mode=755,nosuid,nodev dp-apps "$apps"
mkdir "$base"
mount --move /tmp/.dp "$base"
rmdir /tmp/.dp
mount -o remount,bind,ro "$base"
mount -o remount,ro "$apps"
while [ "$1" != -- ]; do
  mount --bind "$1" "$1"
  mount -o remount,bind,rw "$1"
  shift
done
shift
set +e
"$@"
exit $?`;

const NAMESPACES = ["--mount", "--pid", "--ipc", "--fork", "--kill-child", "--mount-proc"];
let can: boolean | undefined;

/** Whether walls are possible: only for root on a server, and not in a container that may not mount. */
export function hasWalls(): boolean {
  if (process.getuid?.() !== 0 || root() !== "") return false;
  return (can ??= tried());
}

function tried(): boolean {
  const argv = [program("unshare"), ...NAMESPACES, "/bin/sh", "-c", "mount -t tmpfs dp-try /tmp"];
  try {
    return Bun.spawnSync(argv, { env: {}, cwd: "/", stdio: ["ignore", "ignore", "ignore"] }).exitCode === 0;
  } catch {
    return false; // no such program
  }
}

/** The argv that runs `argv` behind walls; it must be started by root. */
export function behindWalls(argv: readonly string[], { app, opens }: Walls): string[] {
  const raise = ["/bin/sh", "-c", RAISE, "sh", deployments(), places(app).base, ...opens, "--"];
  return [program("unshare"), ...NAMESPACES, ...raise, ...argv];
}
