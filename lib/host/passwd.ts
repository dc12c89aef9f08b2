// The users of this system: the one place that reads /etc/passwd and /etc/group.
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

const FILE = "/etc/passwd";
/** As they were read last, from the file in that state. */
let accounts: Account[] = [];
let names = new Map<number, string>();
let readFrom = "";

/** All users. They are read again when the file has changed: who looks at 1,000 apps asks a thousand times. */
function allAccounts(): Account[] {
  const stat = statSync(FILE, { throwIfNoEntry: false });
  const state = `${stat?.ino} ${stat?.ctimeMs} ${stat?.size}`;
  if (state === readFrom) return accounts;
  accounts = readFileSync(FILE, "utf8").split("\n").flatMap(accountIn);
  // Of several with one number the first one counts.
  names = new Map(accounts.toReversed().map(({ uid, name }) => [uid, name]));
  readFrom = state;
  return accounts;
}

function accountIn(line: string): Account[] {
  const [name = "", , uid, gid, , home = "", shell = ""] = line.split(":");
  if (uid === undefined || gid === undefined) return [];
  return [{ name, uid: Number(uid), gid: Number(gid), home, shell }];
}

/** The user of that name, or null. */
export const accountNamed = (wanted: string): Account | null =>
  allAccounts().find(({ name }) => name === wanted) ?? null;

/** The user with that number, or null. */
export const accountWith = (wanted: number): Account | null => allAccounts().find(({ uid }) => uid === wanted) ?? null;

/** Whether /etc/group says that a user is in that group. False: it may be so elsewhere, as in a directory service. */
export const isListedIn = (gid: number, user: string): boolean =>
  readFileSync("/etc/group", "utf8")
    .split("\n")
    .map((line) => line.split(":"))
    .some(([, , number, members = ""]) => number === String(gid) && members.split(",").includes(user));

/** The name of the user with that number, or "": a number may be given to somebody else. */
export function knownName(uid: number): string {
  allAccounts();
  return names.get(uid) ?? "";
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
