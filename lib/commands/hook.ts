// `dp hook`, `dp execute`: the commands that the hooks in a repository of dp's own user call.
import type { NamedApp } from "../contracts/app.ts";
import { DpError, EXIT } from "../errors.ts";
import { isGivenAway } from "../git/owner.ts";
import { leaveSession } from "../host/process/libc.ts";
import { runsOf, type PastRun } from "../release/history.ts";
import { endOf } from "../deploy/launch.ts";
import { noteDeployed, pushedRefs, refsIn, sweepNotes } from "../deploy/pushed-refs.ts";
import { appOfRepo, opened } from "../release/app.ts";
import { print } from "../text/say.ts";
import { who } from "../host/who.ts";
import { wasKilled } from "../deploy/runner-process.ts";
import { notedPushOptions, notePushOptions, pushOptions } from "../deploy/push-options.ts";
import { deployCommit, deployMoved, moveBranch, storedLines, takeBack } from "../deploy/push.ts";

/** The app whose hooks may write notes in its repository: not root's, where another user can write. */
async function ownAppOf(repo: string): Promise<NamedApp> {
  const app = await appOfRepo(repo);
  if (!isGivenAway(app.places.repo)) return app;
  throw new DpError("usage", `git runs in ${repo} as another user, and has hooks elsewhere`, {
    hint: `dp setup ${app.name}`,
  });
}

/** Before any ref moves: keeps the push options for the gate. Throws DpError "usage" for an unknown option. */
export async function preReceive(repo: string): Promise<number> {
  await ownAppOf(repo);
  await notePushOptions(repo, process.env);
  return EXIT.ok;
}

/** The hooks that may deploy: a deploy outlives git, its client and the terminal. Never returns. */
export async function deployingHook(name: string, repo: string, [ref = "", old = "", sha = ""]: string[]) {
  leaveSession();
  const code = name === "update" ? await update(repo, ref, old, sha) : await postReceive(repo, await Bun.stdin.text());
  // Everything is reported by now. A hanging file operation would keep this process alive, and git waits for it.
  process.exit(code);
}

/** The gate, once for each ref of a push: answers the exit code that lets git move the ref or refuse it. */
export async function update(repo: string, ref: string, old: string, sha: string): Promise<number> {
  const app = await opened(await ownAppOf(repo));
  const change = { ref, old, sha };
  const lines = storedLines(app, change);
  if (lines !== null) {
    for (const line of lines) print(line);
    return EXIT.ok;
  }
  const code = await moveBranch(app, change, async () => {
    await sweepNotes(repo);
    return { refs: await pushedRefs(repo), options: await notedPushOptions(repo) };
  });
  if (code === EXIT.ok && app.server.gate) await noteDeployed(repo);
  return code;
}

/** After a good deploy of a push whose branch git did not move: rolls back. */
export async function refusedByGit(repo: string, ref: string, sha: string): Promise<number> {
  return takeBack(await appOfRepo(repo), { ref, sha });
}

/** After the push, with `gate: false`: reads git's lines and deploys the deploy branch once. */
export async function postReceive(repo: string, lines: string): Promise<number> {
  const app = await opened(await ownAppOf(repo));
  return deployMoved(app, refsIn(lines), () => pushOptions(process.env));
}

/** Tells the pusher and the audit log that the process of a deploy was killed; `sha` is its commit, if known. */
export async function killed(repo: string, sha?: string): Promise<number> {
  const app = await appOfRepo(repo);
  const isOf = ({ state, run }: PastRun) => state === "unfinished" && (sha === undefined || run.facts["sha"] === sha);
  const past = (await runsOf(app)).findLast(isOf);
  if (past) await endOf(past, app, EXIT.terminated, { who: who() });
  return wasKilled(app);
}

/**
 * Deploys a commit of a repository. Throws DpError "usage" when the repository belongs to no app, or has no such
 * commit.
 */
export async function execute(repo: string, sha: string): Promise<number> {
  return deployCommit(await opened(await appOfRepo(repo)), sha, pushOptions(process.env));
}
