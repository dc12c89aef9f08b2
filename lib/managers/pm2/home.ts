// The home of an app's pm2: a separate daemon, below the home of the app's user, who runs it.
import { statSync } from "node:fs";
import { join } from "node:path";
import { DpError } from "../../errors.ts";
import { places } from "../../paths.ts";
import { isInstanceId } from "../../text/ids.ts";
import type { InstanceName } from "../../host/instance.ts";
import { accountWith } from "../../host/passwd.ts";

// The longest address of a socket, without the final NUL: unix(7).
const LONGEST_SOCKET = 107;

/** PM2_HOME of an app and its files; they belong to the app's user, and must not be trusted. */
export function homeOf(app: string) {
  const folder = join(places(app).home, ".pm2");
  return { folder, rpc: join(folder, "rpc.sock"), dump: join(folder, "dump.pm2"), pidFile: join(folder, "pm2.pid") };
}

/** Throws DpError "host" when the path of the app's folder is too long for pm2's sockets. */
export function requireShortHome(app: string): void {
  const { rpc } = homeOf(app);
  if (Buffer.byteLength(rpc) <= LONGEST_SOCKET) return;
  throw new DpError("host", `${rpc} is too long for a socket: pm2 can use at most ${LONGEST_SOCKET} bytes`, {
    hint: "a shorter DP_ROOT, or a shorter name for the app",
  });
}

/** The user of an app's pm2: the owner of its home, which the app itself cannot change. */
export function ownerOf(app: string): { uid: number; user: string | undefined } {
  const uid = statSync(places(app).home, { throwIfNoEntry: false })?.uid ?? process.getuid!();
  if (process.getuid!() !== 0 || uid === 0) return { uid, user: undefined };
  const user = accountWith(uid)?.name;
  if (user === undefined)
    throw new DpError("host", `${places(app).home} belongs to user ${uid}, who does not exist`, {
      hint: `dp setup ${app}`,
    });
  return { uid, user };
}

/** The name of an instance in pm2: `shop-42-3f9c2ab`. Throws DpError "usage" for a bad one. */
export function processName({ app, id }: InstanceName): string {
  if (!isInstanceId(id))
    throw new DpError("usage", `${JSON.stringify(id)} is not the name of an instance, such as 42-3f9c2ab`);
  return `${places(app).app}-${id}`;
}

/** The instance in a process's name, or null when the process is no instance of the app. */
export function idOfProcess(app: string, name: string): string | null {
  const id = name.startsWith(`${app}-`) ? name.slice(app.length + 1) : "";
  return isInstanceId(id) ? id : null;
}

/** The files of an instance. `log` is written only by the app itself; `older` is the rotated log. */
export function filesOf(name: InstanceName) {
  const stem = join(places(name.app).instances, name.id);
  const log = join(homeOf(name.app).folder, "logs", `${processName(name)}.log`);
  return {
    /** The environment and the app's command. */
    script: `${stem}.sh`,
    /** The program that pm2 starts: it runs the script and watches it. */
    watcher: `${stem}.pm2.sh`,
    /** Loaded by cluster workers before the app: it limits the size of their log. */
    preload: `${stem}.pm2.cjs`,
    record: `${stem}.pm2.json`,
    ecosystem: `${stem}.ecosystem.json`,
    log,
    older: `${log}.1`,
  };
}
