// The user who owns the repositories of a server. Only git runs as that user, so that a fault in git is not root's.
import { existsSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { DpError } from "../errors.ts";
import { accountNamed, type Account } from "../host/passwd.ts";
import { root, SERVER, type Places } from "../paths.ts";

/** A user without a password and a shell, made by `dp setup`. It owns what git writes, and nothing else. */
export const GIT_USER = "dp-git";

/** Whether repositories have a user of their own here: without root, or under DP_ROOT, all is dp's. */
export const hasGitUser = (): boolean => process.getuid?.() === 0 && root() === "";

/** Noted by root before it gives a repository away: from then on no git of root's may run in it. */
export const givenAway = ({ base }: Pick<Places, "base">) => join(base, "repository-given");

/**
 * The user whom git runs as in a repository; null: dp's own user, as long as the repository is that user's. Throws DpError
 * "host" when it belongs to somebody else.
 */
export function ownerOf(repo: string): Account | null {
  // Under DP_ROOT no repository lies there, and all is dp's.
  if (process.getuid?.() !== 0 || dirname(repo) !== SERVER.repositories) return null;
  const uid = statSync(repo, { throwIfNoEntry: false })?.uid;
  if (uid === undefined) return null;
  const app = basename(repo, ".git");
  if (uid === 0 && !existsSync(givenAway({ base: join(SERVER.deployments, app) }))) return null;
  const account = accountNamed(GIT_USER);
  if (account?.uid === uid) return account;
  const who = uid === 0 ? "root" : `uid ${uid}`;
  throw new DpError("host", `${repo} belongs to ${who}, not to ${GIT_USER}`, { hint: `dp setup ${app}` });
}

/** Whether the repository belongs to that user. */
export const isGivenAway = (repo: string): boolean => ownerOf(repo) !== null;

/** The file of a note that dp keeps about a repository: in the app's folder, once git's user can write in the repository. */
export const noteFile = ({ base, repo }: Pick<Places, "base" | "repo">, name: string): string =>
  isGivenAway(repo) ? join(base, `repository-${name}`) : join(repo, `dp-${name}`);
