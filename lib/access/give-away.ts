// Gives an app's repository to git's user. Before and after that no git of root's runs in what another user can write.
import { chmodSync, chownSync, existsSync, lstatSync, readlinkSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { NamedApp } from "../contracts/app.ts";
import { DpError } from "../errors.ts";
import { git, gitUserEnv } from "../git/git.ts";
import { hooksFolder } from "./served-hooks.ts";
import { givenAway, GIT_USER } from "../git/owner.ts";
import { readText, removeFile, writeFileAtomic } from "../host/files.ts";
import type { Io } from "../host/io.ts";
import { waitForLock } from "../host/lock.ts";
import { accountNamed, requireAccount, type Account } from "../host/passwd.ts";
import { allPids } from "../host/process/proc.ts";
import { userOf } from "../host/process/process.ts";
import { makeSystemUser } from "../host/users.ts";
import { gitFolder } from "../paths.ts";

/** How long the processes of git's user may take to end, in ms. */
const PATIENCE = 10_000;

/** Makes git's user; returns whether it was missing. */
export const setupGitUser = (io: Io): Promise<boolean> => makeSystemUser(GIT_USER, gitFolder(), io);

/**
 * Gives the repository to git's user, with everything in it that git made. False: it is still root's, because a git of
 * root's runs in it. Safe to repeat after an interruption.
 */
export async function giveAway(app: NamedApp, io: Io): Promise<boolean> {
  const { base, repo } = app.places;
  // The usual case changes nothing, and takes no lock.
  if (statSync(repo).uid === accountNamed(GIT_USER)?.uid) return true;
  const nothing = () => undefined;
  const lock = await waitForLock(join(base, "repository.lock"), nothing, nothing);
  try {
    await setupGitUser(io);
    const account = requireAccount(GIT_USER);
    if (statSync(repo).uid === account.uid) return true;
    // Interrupted: git's user may have been in it already.
    if (existsSync(givenAway(app.places))) await untilNoneRuns(app, account);
    else {
      if (isRunning(repo)) return false;
      await keepNotes(app);
      await writeFileAtomic(givenAway(app.places), `${GIT_USER}\n`);
    }
    await ownAll(repo, account, io);
    // A git that was not started by dp finds them, too, and they refuse its pushes.
    await git(repo, ["config", "core.hooksPath", hooksFolder()]);
    return true;
  } finally {
    lock.release();
  }
}

/** Whether a process works in that folder, as git does during a push. */
function isRunning(folder: string): boolean {
  return allPids().some((pid) => {
    try {
      const cwd = readlinkSync(`/proc/${pid}/cwd`);
      return cwd === folder || cwd.startsWith(`${folder}/`);
    } catch {
      return false; // it is gone
    }
  });
}

// The notes that root obeys leave the repository while it is still root's. Its hooks have no use any more.
async function keepNotes({ places }: NamedApp): Promise<void> {
  const { base, repo } = places;
  const { code, text } = await git(repo, ["config", "--get", "remote.origin.url"], { check: false });
  if (code === 0) await writeFileAtomic(join(base, "repository-origin"), `${text}\n`);
  for (const name of ["owed", "credentials"]) {
    const note = await readText(join(repo, `dp-${name}`));
    if (note !== null) await writeFileAtomic(join(base, `repository-${name}`), note);
    await removeFile(join(repo, `dp-${name}`));
  }
  for (const name of ["dp-pushes", "dp-push-options"]) rmSync(join(repo, name), { recursive: true, force: true });
  for (const hook of ["pre-receive", "update", "post-receive"]) {
    const path = join(repo, "hooks", hook);
    if ((await readText(path))?.includes("# written by dp:")) await removeFile(path);
  }
}

// A file with several names may be somebody else's, too: git reads it whoever owns it.
const strange = ({ uid, gid }: Account) => [
  ...["(", "!", "-user", String(uid), "-o", "!", "-group", String(gid), ")"],
  ...["!", "(", "-type", "f", "-links", "+1", ")"],
];

/** Nobody but root can enter the repository while this runs: what it finds stays what it is. */
async function ownAll(repo: string, account: Account, io: Io): Promise<void> {
  chmodSync(repo, 0o700);
  const find = ["find", repo, "-mindepth", "1", "-xdev", ...strange(account)];
  const chown = ["-exec", "chown", "-h", `${account.uid}:${account.gid}`, "{}", "+"];
  await io.run([...find, ...chown], { quiet: true, timeout: 600_000 });
  chownSync(repo, account.uid, account.gid);
}

// A file of root's, such as a config that was changed by hand, is replaced when git writes it.
const closed = ({ uid }: Account) => [
  ...["!", "-user", String(uid)],
  ...["(", "-type", "d", "-o", "-type", "f", "!", "-perm", "-004", ")"],
];

/** A folder in a repository of git's user where git cannot write, or a file that it cannot read; null: none. */
export async function strangeIn(repo: string, io: Io): Promise<string | null> {
  const account = requireAccount(GIT_USER);
  if (lstatSync(repo).uid !== account.uid) return repo;
  const argv = ["find", repo, "-xdev", ...closed(account), "-print", "-quit"];
  // As that user: a folder that it cannot enter is not its own.
  const { code, text } = await io.run(argv, {
    account,
    env: gitUserEnv(),
    check: false,
    quiet: true,
    timeout: 600_000,
  });
  return text.split("\n")[0] || (code === 0 ? null : repo);
}

/**
 * Gives everything in the repository back to git's user, where a program of root's has written in it. Throws DpError
 * "locked" while git runs as that user.
 */
export async function mendOwner(app: NamedApp, io: Io): Promise<string[]> {
  const { repo } = app.places;
  if ((await strangeIn(repo, io)) === null) return [];
  const account = requireAccount(GIT_USER);
  chownSync(repo, 0, 0);
  try {
    await untilNoneRuns(app, account);
    await ownAll(repo, account, io);
  } finally {
    chownSync(repo, account.uid, account.gid);
  }
  return [`gave what was not ${GIT_USER}'s in ${repo} to it`];
}

async function untilNoneRuns({ name }: NamedApp, { uid }: Account): Promise<void> {
  for (const end = performance.now() + PATIENCE; allPids().some((pid) => userOf(pid) === uid);) {
    if (performance.now() > end)
      throw new DpError("locked", `a push or fetch is under way as ${GIT_USER}`, {
        hint: `when it is over: dp setup ${name}`,
      });
    await Bun.sleep(50);
  }
}
