// Where dp's HAProxy keeps what it needs, and which program it is.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../paths.ts";

/** The folder of dp's HAProxy; nothing of it lies in /etc/haproxy, which is the operator's. */
export const folderOf = () => `${root()}/var/lib/dp/haproxy`;

/** The user that the service runs as, who reads the folder and writes nothing but its own run folder. */
export const USER = "dp-haproxy";

/** Its files, absolute. `routes` is the truth, from which `config` follows. */
export function filesOf(folder = folderOf()) {
  return {
    folder,
    routes: join(folder, "routes.json"),
    config: join(folder, "dp.cfg"),
    lua: join(folder, "dp.lua"),
    /** The master's control socket, mode 600: it reaches workers that a reload has left behind, too. */
    socket: join(isService() ? `/run/${USER}` : folder, "master.sock"),
    lock: join(folder, "lock"),
    log: join(folder, "haproxy.log"),
  };
}

// A user's PATH has no sbin.
const PROGRAMS = ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy", "/usr/bin/haproxy", "/usr/local/bin/haproxy"];

/** The path of haproxy, or null when it is not installed. */
export const haproxyProgram = (): string | null => PROGRAMS.find(existsSync) ?? null;

/** Whether HAProxy is a service here: on a server, as root; under DP_ROOT a supervisor keeps it. */
export const isService = () => root() === "" && process.getuid?.() === 0 && existsSync("/run/systemd/system");
