// The system user of an app.
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { DpError } from "../errors.ts";
import type { Io } from "./io.ts";
import { places } from "../paths.ts";

/** The uid and gid of a user, from the user database. Throws DpError "host" when there is none. */
export async function idsOf(user: string): Promise<[uid: number, gid: number]> {
  const passwd = await readFile("/etc/passwd", "utf8");
  const line = passwd.split("\n").find((candidate) => candidate.startsWith(`${user}:`));
  const [, , uid, gid] = line?.split(":") ?? [];
  if (uid === undefined || gid === undefined) {
    throw new DpError("host", `the system has no user "${user}"`, { hint: "dp setup APP makes it again" });
  }
  return [Number(uid), Number(gid)];
}

/** The login name of whoever runs dp: bun's userInfo() trusts $USER, and a git hook may have none. */
export const loginName = (): string => nameOf(process.getuid?.() ?? 0);

/** The name of the user with that uid, or "uid 1234" when there is none. */
export function nameOf(uid: number): string {
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((candidate) => candidate.split(":")[2] === String(uid));
  return line?.split(":")[0] ?? `uid ${uid}`;
}

/** Whether the system has a user of that name. */
export async function userExists(user: string): Promise<boolean> {
  return (await readFile("/etc/passwd", "utf8")).split("\n").some((line) => line.startsWith(`${user}:`));
}

/** The name of an app's own user. */
export const userOf = (app: string) => `dp-${app}`;

/** Makes the app's own system user; answers whether it was missing. */
export function setupUser(app: string, io: Io): Promise<boolean> {
  return makeSystemUser(userOf(app), places(app).home, io);
}

/** Makes a system user without password or shell; answers whether it was missing. */
export async function makeSystemUser(user: string, home: string, io: Io): Promise<boolean> {
  if (await userExists(user)) return false;
  const options = ["--system", "--user-group", "--no-create-home", "--home-dir", home, "--shell", "/usr/sbin/nologin"];
  await io.run(["useradd", ...options, user], { quiet: true });
  return true;
}
