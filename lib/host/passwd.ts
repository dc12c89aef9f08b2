// The users of this system: the one place that reads /etc/passwd.
import { readFileSync, statSync } from "node:fs";
import { DpError } from "../errors.ts";

export interface Account {
  name: string;
  uid: number;
  /** The user's own group, which may have another name. */
  gid: number;
  home: string;
  shell: string;
}

function find(fits: (name: string, uid: number) => boolean): Account | null {
  for (const line of readFileSync("/etc/passwd", "utf8").split("\n")) {
    const [name = "", , uid, gid, , home = "", shell = ""] = line.split(":");
    if (uid !== undefined && gid !== undefined && fits(name, Number(uid)))
      return { name, uid: Number(uid), gid: Number(gid), home, shell };
  }
  return null;
}

/** The user of that name, or null. */
export const accountNamed = (wanted: string) => find((name) => name === wanted);

/** The user with that number, or null. */
export const accountWith = (wanted: number) => find((_name, uid) => uid === wanted);

/** Names by number, as long as the file is the same: a number may be given to somebody else. */
const known = new Map<number, string>();
let knownFrom = "";

/** The name of the user with that number, or ""; for those who ask again and again. */
export function knownName(uid: number): string {
  const stat = statSync("/etc/passwd", { throwIfNoEntry: false });
  const state = `${stat?.ino} ${stat?.ctimeMs} ${stat?.size}`;
  if (state !== knownFrom) known.clear();
  knownFrom = state;
  const name = known.get(uid) ?? accountWith(uid)?.name ?? "";
  known.set(uid, name);
  return name;
}

/** The password field of a user in /etc/shadow, which root alone may read; null: there is none. */
export function passwordField(wanted: string): string | null {
  for (const line of readFileSync("/etc/shadow", "utf8").split("\n")) {
    const [name, password = ""] = line.split(":");
    if (name === wanted) return password;
  }
  return null;
}

/** The shell and home of root. */
export function rootsLogin(): { shell: string; home: string } {
  const fields = /^root:.*$/m.exec(readFileSync("/etc/passwd", "utf8"))?.[0].split(":") ?? [];
  return { shell: fields[6] || "/bin/sh", home: fields[5] || "/root" };
}

/** The user of that name. Throws DpError "host" when there is none. */
export function requireAccount(name: string): Account {
  const found = accountNamed(name);
  if (found) return found;
  throw new DpError("host", `the system has no user "${name}"`, { hint: "dp setup APP makes it again" });
}
