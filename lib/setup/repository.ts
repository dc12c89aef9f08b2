// The bare repository of an app, with dp's hooks.
import { existsSync, lstatSync, statSync } from "node:fs";
import { chmod, chown, mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { NamedApp } from "../contracts/app.ts";
import type { Drift } from "../contracts/check.ts";
import { DpError } from "../errors.ts";
import { giveAway, mendOwner, setupGitUser, strangeIn } from "../access/give-away.ts";
import { hooksFolder, servingDrift, setupServing } from "../access/served-hooks.ts";
import { git, gitUserEnv } from "../git/git.ts";
import { givenAway, GIT_USER, hasGitUser, isGivenAway } from "../git/owner.ts";
import { readText, writeFileAtomic } from "../host/files.ts";
import { requireAccount } from "../host/passwd.ts";
import type { Io } from "../host/io.ts";
import { waitForLock } from "../host/lock.ts";
import { repositories, root } from "../paths.ts";
import { SELF } from "../host/self.ts";
import { render, shellQuote, template } from "../host/template.ts";
import { hasCredentials, setCredentialsApart } from "./origin.ts";

const HOOKS = ["pre-receive", "update", "post-receive"] as const;
/** How long a push that is under way may take to end, in ms. */
const PATIENCE = 5_000;
const MARKER = "# written by dp:";

/** The git settings that dp needs: push options, intact objects, and hidden refs of its own. */
const SETTINGS: Record<string, string> = {
  "receive.advertisePushOptions": "true",
  "receive.fsckObjects": "true",
  // A CI job pushes from a clone of depth 1.
  "receive.shallowUpdate": "true",
  // The gate refuses that, with a reason in one line.
  "receive.denyDeleteCurrent": "ignore",
  "transfer.hideRefs": "refs/dp",
};

/** Settings that stay once they are set: a push must not fill the disk. */
const DEFAULTS: Record<string, string> = { "receive.maxInputSize": "2g" };

/** The modes: only git needs access. The parent folder can only be passed through. */
const modes = (repo: string): [path: string, closed: number][] => [
  [dirname(repo), 0o066],
  [repo, 0o077],
];

/** Makes the repository, or corrects it; answers one sentence for each change. */
export async function setupRepository(app: NamedApp, branch: string, io: Io): Promise<string[]> {
  const { base } = app.places;
  const nothing = () => undefined;
  await mkdir(base, { recursive: true });
  // Otherwise two setups of the same app at once would make the same repository.
  const lock = await waitForLock(join(base, "setup.lock"), nothing, nothing);
  try {
    return await makeRepository(app, branch, io);
  } finally {
    lock.release();
  }
}

async function makeRepository(app: NamedApp, branch: string, io: Io): Promise<string[]> {
  const { repo } = app.places;
  const changes: string[] = hasGitUser() ? await setupRights(io) : [];
  if (lstatSync(join(repo, "HEAD"), { throwIfNoEntry: false }) === undefined) {
    await initialise(app, branch, io);
    changes.push(`made the repository ${repo}`);
  }
  changes.push(...(await closeToOthers(repo)));
  if (hasGitUser()) changes.push(...(await setupOwner(app, io)));
  if (await setCredentialsApart(app)) changes.push(`removed the password of origin from ${repo}/config`);
  const hooks = hasGitUser() ? { "core.hooksPath": hooksFolder() } : {};
  for (const [name, value] of Object.entries({ ...DEFAULTS, ...SETTINGS, ...hooks })) {
    const now = await git(repo, ["config", "--get", name], { check: false });
    if (now.text === value || (now.text !== "" && name in DEFAULTS)) continue;
    await git(repo, ["config", name, value]);
    if (changes.length === 0) changes.push(`set ${name} in ${repo}`);
  }
  const head = await git(repo, ["symbolic-ref", "HEAD"], { check: false });
  if (head.text !== `refs/heads/${branch}`) {
    await git(repo, ["symbolic-ref", "HEAD", `refs/heads/${branch}`]);
    changes.push(`the repository's branch is now ${branch}`);
  }
  if (!hasGitUser()) for (const hook of HOOKS) changes.push(...(await setupHook(app, hook)));
  return changes;
}

/** Git's user, and what it obeys. */
async function setupRights(io: Io): Promise<string[]> {
  const isNew = await setupGitUser(io);
  return [...(isNew ? [`made the system user ${GIT_USER}`] : []), ...(await setupServing())];
}

/** The repository belongs to git's user, with everything in it. */
async function setupOwner(app: NamedApp, io: Io): Promise<string[]> {
  const { repo } = app.places;
  const before = statSync(repo).uid;
  // A push of an earlier dp may be at its end: its deploy is over, and git is about to move the branch.
  const end = performance.now() + PATIENCE;
  let isGiven = await giveAway(app, io);
  for (; !isGiven && performance.now() < end; isGiven = await giveAway(app, io)) await Bun.sleep(100);
  if (!isGiven)
    throw new DpError("locked", `a push to ${repo} is under way`, { hint: `when it is over: dp setup ${app.name}` });
  if (statSync(repo).uid !== before) return [`gave ${repo} to the user ${GIT_USER}`];
  return mendOwner(app, io);
}

async function closeToOthers(repo: string): Promise<string[]> {
  const changes: string[] = [];
  for (const [path, closed] of modes(repo)) {
    const { mode } = statSync(path);
    if ((mode & closed) === 0) continue;
    await chmod(path, mode & 0o7777 & ~closed);
    changes.push(`closed ${path} to others`);
  }
  return changes;
}

/** What other users could read in the repository. */
export async function repositoryDrift(app: NamedApp, io: Io): Promise<Drift[]> {
  const { repo } = app.places;
  if (!existsSync(repo)) return [];
  const open = modes(repo).filter(([path, closed]) => (statSync(path).mode & closed) !== 0);
  const wrong = open.map(([path]): Drift => {
    const mode = (statSync(path).mode & 0o7777).toString(8);
    return { path, kind: "changed", what: `${path} has mode ${mode}: others may read it` };
  });
  const path = join(repo, "config");
  if (isGivenAway(repo)) {
    const strange = await strangeIn(repo, io);
    if (strange !== null)
      wrong.push({
        path: strange,
        kind: "changed",
        what: `${strange} does not belong to ${GIT_USER}: pushes fail`,
      });
  }
  if (await hasCredentials(app))
    wrong.push({ path, kind: "changed", what: `${path} has a password, in the address of origin` });
  return wrong;
}

// Made under a temporary name: a killed init must not be taken for a repository.
async function initialise(app: NamedApp, branch: string, io: Io): Promise<void> {
  const { repo } = app.places;
  if (existsSync(repo))
    throw new DpError("host", `${repo} exists, but it is not a git repository`, { hint: `mv ${repo} ${repo}.old` });
  await mkdir(repositories(), { recursive: true, mode: 0o711 });
  const temp = `${repo}.tmp`;
  await rm(temp, { recursive: true, force: true });
  await mkdir(temp, { mode: 0o700 });
  const account = hasGitUser() ? requireAccount(GIT_USER) : undefined;
  const how = account && { account, env: gitUserEnv() };
  if (account) await chown(temp, account.uid, account.gid);
  await io.run(["git", "init", "--quiet", "--bare", `--initial-branch=${branch}`, temp], { quiet: true, ...how });
  await chmod(temp, 0o700);
  if (account) await writeFileAtomic(givenAway(app.places), `${GIT_USER}\n`);
  await rename(temp, repo);
}

/** The text of a hook, with the absolute path of this dp: sshd's PATH may lack it. */
async function hookText(app: NamedApp, hook: (typeof HOOKS)[number]): Promise<string> {
  const environment = root() ? `DP_ROOT=${shellQuote(root())}\nexport DP_ROOT\n` : "unset DP_ROOT\n";
  return render(await template(`${hook}.sh`), {
    app: app.name,
    environment,
    program: shellQuote(SELF[0]!),
    dp: SELF.map(shellQuote).join(" "),
  });
}

/** The hooks that differ from those of this dp, or that cannot be run. */
export async function hookDrift(app: NamedApp): Promise<Drift[]> {
  if (hasGitUser()) return servedDrift(app);
  const wrong: Drift[] = [];
  for (const hook of HOOKS) {
    const path = join(app.places.repo, "hooks", hook);
    const now = await readText(path);
    if (now === null) wrong.push({ path, kind: "missing", what: `the hook ${path} is missing` });
    else if (!now.includes(MARKER))
      wrong.push({ path, kind: "foreign", what: `${path} is a hook that dp did not write` });
    else if (now !== (await hookText(app, hook)))
      wrong.push({ path, kind: "changed", what: `${path} is from another version of dp` });
    else if ((statSync(path).mode & 0o111) === 0)
      wrong.push({ path, kind: "changed", what: `the hook ${path} cannot be run` });
  }
  return wrong;
}

/** What is served as git's user, or should be. */
async function servedDrift({ places: { repo } }: NamedApp): Promise<Drift[]> {
  if (isGivenAway(repo)) return servingDrift();
  return [{ path: repo, kind: "changed", what: `${repo} belongs to root: git has all rights in a push` }];
}

async function setupHook(app: NamedApp, hook: (typeof HOOKS)[number]): Promise<string[]> {
  const path = join(app.places.repo, "hooks", hook);
  const text = await hookText(app, hook);
  const now = await readText(path);
  if (now === text) {
    await chmod(path, 0o755);
    return [];
  }
  if (now !== null && !now.includes(MARKER)) {
    throw new DpError("host", `${path} is a hook that dp did not write`, {
      hint: `move it away: mv ${path} ${path}.old`,
    });
  }
  await mkdir(dirname(path), { recursive: true });
  await writeFileAtomic(path, text, 0o755);
  return [`${now === null ? "wrote" : "changed"} the hook ${hook}`];
}
