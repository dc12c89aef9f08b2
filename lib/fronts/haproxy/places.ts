// The paths of dp's HAProxy: its folder, its files and the program.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../paths.ts";

/** The folder of dp's HAProxy. dp keeps nothing in /etc/haproxy, which is the operator's. */
export const folderOf = () => `${root()}/var/lib/dp/haproxy`;

/** The user of the service, who can read the folder and write only to its own run folder. */
export const USER = "dp-haproxy";

/** The absolute paths of its files. `routes` and `balancers` are the source of truth; `config` is derived from them. */
export function filesOf(folder = folderOf()) {
  return {
    folder,
    routes: join(folder, "routes.json"),
    balancers: join(folder, "balancers.json"),
    config: join(folder, "dp.cfg"),
    lua: join(folder, "dp.lua"),
    /** What the configuration reads about the domains: the map of names, the list of certificates, their folder. */
    map: join(folder, "domains.map"),
    list: join(folder, "certificates.list"),
    certificates: join(folder, "certificates"),
    /** The master's control socket, mode 600. It also reaches workers left over from a reload. */
    socket: join(isService() ? `/run/${USER}` : folder, "master.sock"),
    lock: join(folder, "lock"),
    log: join(folder, "haproxy.log"),
  };
}

// The PATH of an ordinary user has no sbin.
const PROGRAMS = ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy", "/usr/bin/haproxy", "/usr/local/bin/haproxy"];

/** The path of haproxy, or null when it is not installed. */
export const haproxyProgram = (): string | null => PROGRAMS.find(existsSync) ?? null;

/** Whether HAProxy is a service here: on a server, as root. Under DP_ROOT a supervisor runs it. */
export const isService = () => root() === "" && process.getuid?.() === 0 && existsSync("/run/systemd/system");
