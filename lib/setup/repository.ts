// The bare repository of an app: what is pushed to, with dp's two hooks.
import { existsSync, statSync } from "node:fs";
import { chmod, mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { DpError } from "../errors.ts";
import { readText, writeFileAtomic } from "../host/files.ts";
import type { Io } from "../host/io.ts";
import { waitForLock } from "../host/lock.ts";
import { places, root } from "../paths.ts";
import { SELF } from "../host/self.ts";
import { render, shellQuote, template } from "../host/template.ts";

const HOOKS = ["pre-receive", "update", "post-receive"] as const;
const MARKER = "# written by dp:";

/** What dp needs of git: push options, sound objects, and its own refs kept out of sight. */
const SETTINGS: Record<string, string> = {
  "receive.advertisePushOptions": "true",
  "receive.fsckObjects": "true",
  // The gate refuses it, and says why in one line.
  "receive.denyDeleteCurrent": "ignore",
  "transfer.hideRefs": "refs/dp",
};

/** What is left as it is once it is set: a push may not fill the disk. */
const DEFAULTS: Record<string, string> = { "receive.maxInputSize": "2g" };

const git = (repo: string, ...args: string[]) => ["git", "--git-dir", repo, ...args];

/** Makes the repository, or puts right what differs; answers one sentence for each change. */
export async function setupRepository(app: string, branch: string, io: Io): Promise<string[]> {
  const { base } = places(app);
  const nothing = () => undefined;
  await mkdir(base, { recursive: true });
  // Two that set up the same app at once would make the same repository.
  const lock = await waitForLock(join(base, "setup.lock"), nothing, nothing);
  try {
    return await makeRepository(app, branch, io);
  } finally {
    lock.release();
  }
}

async function makeRepository(app: string, branch: string, io: Io): Promise<string[]> {
  const { repo } = places(app);
  const changes: string[] = [];
  if (!existsSync(join(repo, "HEAD"))) {
    await initialise(repo, branch, io);
    changes.push(`made the repository ${repo}`);
  }
  for (const [name, value] of Object.entries({ ...DEFAULTS, ...SETTINGS })) {
    const now = await io.run(git(repo, "config", "--get", name), { check: false, quiet: true });
    if (now.text === value || (now.text !== "" && name in DEFAULTS)) continue;
    await io.run(git(repo, "config", name, value), { quiet: true });
    if (changes.length === 0) changes.push(`set ${name} in ${repo}`);
  }
  const head = await io.run(git(repo, "symbolic-ref", "HEAD"), { check: false, quiet: true });
  if (head.text !== `refs/heads/${branch}`) {
    await io.run(git(repo, "symbolic-ref", "HEAD", `refs/heads/${branch}`), { quiet: true });
    changes.push(`the repository's branch is ${branch} now`);
  }
  for (const hook of HOOKS) changes.push(...(await setupHook(app, hook)));
  return changes;
}

// Under a name of its own until it is whole: a killed init must not be taken for a repository.
async function initialise(repo: string, branch: string, io: Io): Promise<void> {
  if (existsSync(repo))
    throw new DpError("host", `${repo} exists and is no git repository`, { hint: `mv ${repo} ${repo}.old` });
  await mkdir(dirname(repo), { recursive: true });
  const temp = `${repo}.tmp`;
  await rm(temp, { recursive: true, force: true });
  await io.run(["git", "init", "--quiet", "--bare", `--initial-branch=${branch}`, temp], { quiet: true });
  await rename(temp, repo);
}

/** The text of a hook, with the absolute path of this dp: sshd's PATH may lack it. */
async function hookText(app: string, hook: (typeof HOOKS)[number]): Promise<string> {
  const environment = root() ? `DP_ROOT=${shellQuote(root())}\nexport DP_ROOT\n` : "unset DP_ROOT\n";
  return render(await template(`${hook}.sh`), {
    app,
    environment,
    bun: shellQuote(SELF[0]!),
    dp: SELF.map(shellQuote).join(" "),
  });
}

/** The hooks that are not as this dp writes them, or cannot be run: one sentence each. */
export async function hookDrift(app: string): Promise<string[]> {
  const wrong: string[] = [];
  for (const hook of HOOKS) {
    const path = join(places(app).repo, "hooks", hook);
    const now = await readText(path);
    if (now === null) wrong.push(`the hook ${path} is missing`);
    else if (now !== (await hookText(app, hook)))
      wrong.push(`${path} is ${now.includes(MARKER) ? "of another dp" : "a hook that dp did not write"}`);
    else if ((statSync(path).mode & 0o111) === 0) wrong.push(`the hook ${path} cannot be run`);
  }
  return wrong;
}

async function setupHook(app: string, hook: (typeof HOOKS)[number]): Promise<string[]> {
  const path = join(places(app).repo, "hooks", hook);
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

/** Fetches the branch of another repository, and remembers it as "origin". Throws DpError "command". */
export async function fetchFrom(app: string, url: string, branch: string, io: Io): Promise<void> {
  const { repo } = places(app);
  const known = await io.run(git(repo, "config", "--get", "remote.origin.url"), { check: false, quiet: true });
  if (known.text !== url) await io.run(git(repo, "config", "remote.origin.url", url), { quiet: true });
  await fetchOrigin(app, branch, io);
}

/** Fetches the deploy branch from "origin"; false when the repository has no origin. */
export async function fetchOrigin(app: string, branch: string, io: Io): Promise<boolean> {
  const { repo } = places(app);
  const url = await io.run(git(repo, "config", "--get", "remote.origin.url"), { check: false, quiet: true });
  if (url.code !== 0) return false;
  await io.run(
    git(
      repo,
      "-c",
      "protocol.ext.allow=never",
      "fetch",
      "--quiet",
      "--no-tags",
      "origin",
      `+refs/heads/${branch}:refs/heads/${branch}`,
    ),
    {
      timeout: 600_000,
      quiet: true,
      // The operator's own keys and agent: this is their fetch, not the app's.
      env: { ...process.env, GIT_TERMINAL_PROMPT: "0" } as Record<string, string>,
    },
  );
  return true;
}
