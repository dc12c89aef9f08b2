// The system users of apps and services.
import type { Io } from "./io.ts";
import { accountNamed, accountWith, requireAccount } from "./passwd.ts";
import { places } from "../paths.ts";

/** The uid and gid of a user, from the user database. Throws DpError "host" when there is none. */
export async function idsOf(user: string): Promise<[uid: number, gid: number]> {
  const { uid, gid } = requireAccount(user);
  return [uid, gid];
}

/** The login name of the user who runs dp. bun's userInfo() trusts $USER, which may be missing in a git hook. */
export const loginName = (): string => nameOf(process.getuid?.() ?? 0);

/** The name of the user with that uid, or "uid 1234" when there is none. */
export const nameOf = (uid: number): string => accountWith(uid)?.name ?? `uid ${uid}`;

/** Whether the system has a user of that name. */
export const userExists = (user: string): boolean => accountNamed(user) !== null;

/** The name of an app's own user. */
export const userOf = (app: string) => `dp-${app}`;

/** The name of the user that builds an app. The suffix "-build" could make the name longer than Linux allows. */
export const builderName = (app: string) => `dpb-${app}`;

/** Makes the app's own system user; returns whether it was missing. */
export function setupUser(app: string, io: Io): Promise<boolean> {
  return makeSystemUser(userOf(app), places(app).home, io);
}

/** Makes a system user without a password or shell, with supplementary groups; returns whether it was missing. */
export async function makeSystemUser(user: string, home: string, io: Io, groups: number[] = []): Promise<boolean> {
  if (userExists(user)) return false;
  const options = ["--system", "--user-group", "--no-create-home", "--home-dir", home, "--shell", "/usr/sbin/nologin"];
  if (groups.length > 0) options.push("--groups", groups.join(","));
  await io.run(["useradd", ...options, user], { quiet: true });
  return true;
}
