// `dp hook`, `dp execute`: the commands that git's hooks call. A push may deploy, be stored, or be refused.
import { DpError, EXIT } from "../errors.ts";
import { leaveSession } from "../host/process/libc.ts";
import { receiver, type Push } from "../deploy/gate.ts";
import { runsOf, type PastRun } from "../release/history.ts";
import { appOfRepo } from "../config/server.ts";
import { begin, commitOf } from "../deploy/begin.ts";
import { joinRunning } from "../deploy/join.ts";
import { beginAndLaunch, endOf } from "../deploy/launch.ts";
import { rollback } from "./deploy.ts";
import { contains, tipOf } from "../git/ref.ts";
import { noteDeployed, requireMovable } from "../deploy/pushed-refs.ts";
import { planOf, planLines } from "./plan.ts";
import type { App } from "../contracts/app.ts";
import { namedApp, openApp } from "../release/app.ts";
import { requireUnlocked } from "../deploy/hand-lock.ts";
import { print } from "../text/say.ts";
import { who } from "../host/who.ts";
import { wasKilled } from "../deploy/runner-process.ts";
import { noteOwed, settleOwed } from "../deploy/owed.ts";
import { notedPushOptions, notePushOptions, pushOptions, type PushOptions } from "../deploy/push-options.ts";
import { quiet } from "../deploy/queue.ts";

const NOTHING = /^0+$/;

/** Before any ref moves: keeps the push options for the gate. Throws DpError "usage" for an unknown option. */
export async function preReceive(repo: string): Promise<number> {
  await appOfRepo(repo);
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
  const app = await openApp(await appOfRepo(repo));
  const { branch, gate } = app.server;
  if (ref !== `refs/heads/${branch}`) {
    const what = NOTHING.test(sha) ? "is deleted" : "is stored and not deployed";
    const name = ref.replace(/^refs\/(heads|tags)\//, "");
    print(`dp: ${name} ${what}; ${app.name} deploys ${branch}`);
    if (ref.startsWith("refs/heads/") && !NOTHING.test(sha)) print(`  → git push production ${name}:${branch}`);
    return EXIT.ok;
  }
  if (NOTHING.test(sha))
    throw new DpError("usage", `${app.name} is deployed from ${branch}, which cannot be deleted`, {
      hint: `to deploy another branch: dp setup ${app.name} --branch NAME`,
    });
  await requireMovable(repo, { ref, old, sha });
  if (!gate) {
    requireUnlocked(app);
    await noteOwed(app.places.repo, sha);
    return EXIT.ok;
  }
  const code = await deployCommit(app, sha, await notedPushOptions(repo), { ref, old });
  if (code === EXIT.ok) await noteDeployed(app.places.repo);
  return code;
}

/**
 * After a good deploy of a push whose branch git did not move for whatever reason: rolls back, unless another release
 * is live by now. Answers the exit code.
 */
export async function refusedByGit(repo: string, ref: string, sha: string): Promise<number> {
  const app = namedApp(await appOfRepo(repo));
  const newest = (await runsOf(app)).at(-1);
  const tip = await tipOf(repo, ref);
  const isOfThisPush = newest?.state === "good" && newest.run.facts["sha"] === sha && newest.run.facts["push"] !== null;
  if (!isOfThisPush || (await app.live()) !== newest.id || (await contains(repo, tip, sha))) return EXIT.ok;
  return (await rollback(app.name, undefined, { what: "git did not move the branch" })).code;
}

/** After the push, with `gate: false`: reads git's lines and deploys the deploy branch once. */
export async function postReceive(repo: string, lines: string): Promise<number> {
  const app = await openApp(await appOfRepo(repo));
  const { branch, gate } = app.server;
  if (gate) return EXIT.ok;
  for (const line of lines.split("\n")) {
    const [, sha, ref] = line.split(" ");
    if (ref === `refs/heads/${branch}` && sha && !NOTHING.test(sha))
      return deployCommit(app, sha, pushOptions(process.env));
  }
  return EXIT.ok;
}

/** Tells the pusher and the audit log that the process of a deploy was killed; `sha` is its commit, if known. */
export async function killed(repo: string, sha?: string): Promise<number> {
  const app = namedApp(await appOfRepo(repo));
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
  return deployCommit(await openApp(await appOfRepo(repo)), sha, pushOptions(process.env));
}

async function deployCommit(app: App, sha: string, options: PushOptions, push?: Push): Promise<number> {
  if (!/^[0-9a-f]{40}([0-9a-f]{24})?$/.test(sha))
    throw new DpError("usage", `${JSON.stringify(sha)} is not the full name of a commit`);
  const { repo } = app.places;
  if (options["dry-run"]) {
    const plan = await planOf(app, await commitOf(repo, sha));
    for (const line of planLines(plan)) print(line);
    print("dp: dry run: nothing was deployed, and the push is refused, so that the branch stays where it is");
    return EXIT.usage;
  }
  const { wait, "skip-hooks": skipHooks } = options;
  const joined = push && (await joinRunning(app, { sha, skipHooks, push }));
  if (typeof joined === "number") return joined;
  if (wait === 0) await quiet(app, 0);
  const beginning = async () => {
    const begun = await begin(app, sha, { skipHooks, ...(push ? { push } : {}) });
    await settleOwed(repo, sha);
    return begun;
  };
  return (await beginAndLaunch(app, beginning, { wait, ...(push ? { git: receiver() } : {}) })).code;
}
