// For how many connections there is room: the limit of open files decides.
import { readFileSync } from "node:fs";
import { CONNECTIONS, CONNECTIONS_REFUSED, FILES_PER_POOLED, LEAVING, OWN_FILES, SHARE_OF_APP } from "./limits.ts";

/** The files that a process may have open, by its /proc/PID/limits: Bun raises the limit as far as it may. */
export function filesIn(limits: string): number {
  const [, soft] = /^Max open files +(\d+)/m.exec(limits) ?? [];
  return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
}

/** The relay's own limit of open files. */
export const FILES = filesIn(readFileSync("/proc/self/limits", "utf8"));

/** How many idle connections to apps that no client has may wait, with that many files. */
export const pooledIn = (files: number): number => Math.floor(Math.min(files, 65_536) / FILES_PER_POOLED);

/** How many client connections there is room for with that many files: each may need one to its app, and an app a socket that listens. */
export function roomIn(files: number, apps: number): number {
  const others = OWN_FILES + CONNECTIONS_REFUSED + LEAVING + pooledIn(files) + apps;
  return Math.max(1, Math.min(CONNECTIONS, Math.floor((files - others) / 2)));
}

/** How many of them one app may have: all, unless there are others. */
export const shareIn = (room: number, apps: number): number => (apps > 1 ? Math.ceil(room * SHARE_OF_APP) : room);
