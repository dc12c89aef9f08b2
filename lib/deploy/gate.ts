// The branch that a push wants to move: it ends at the live release, whatever has happened in git meanwhile.
import { lstatSync } from "node:fs";
import type { NamedApp } from "../contracts/app.ts";
import { DpError } from "../errors.ts";
import { isAlive, startTime } from "../host/process/process.ts";
import { receiverPid } from "./push-options.ts";
import { git } from "../git/git.ts";
import { factOf } from "../pipeline/run-file.ts";
import { fact } from "../pipeline/facts.ts";
import { readRuns, runFile, runIds } from "../release/history.ts";
import { contains, tipOf } from "../git/ref.ts";

/** What a push wants. It is a fact, so that a resumed deploy moves the branch as well. */
export interface Push {
  /** `refs/heads/main`. */
  ref: string;
  /** Where the branch was when the push began; zeros: it did not exist. */
  old: string;
}

/** The git process that moves the branch when its hook agrees, as `PID:START`, START in ticks since boot. */
export function receiver(): string {
  const pid = receiverPid();
  return `${pid}:${startTime(pid) ?? 0}`;
}

/** Whether that git process is still running. */
export function isReceiving(text: string | undefined): boolean {
  const [pid, start] = (text ?? "").split(":").map(Number);
  return pid !== undefined && pid > 1 && start !== undefined && isAlive(pid, start);
}

const NOWHERE = /^0+$/;

/**
 * Throws DpError "superseded" when the branch has moved since the push began to a commit that an ordinary push would
 * have to contain: a deploy would silently undo it. `landing`: the commit that git may be about to move the branch to.
 */
export async function requireTip(
  repo: string,
  { ref, old }: Push,
  sha: string,
  landing: Landing | null = null,
): Promise<void> {
  const tip = await tipOf(repo, ref);
  const isOnItsWay = landing !== null && (tip === landing.old || (tip === "" && NOWHERE.test(landing.old)));
  const now = isOnItsWay ? landing.sha : tip;
  if (now === "" || now === old || (await contains(repo, sha, now))) return;
  const isForced = !NOWHERE.test(old) && !(await contains(repo, sha, old));
  if (isForced) return;
  const branch = ref.replace("refs/heads/", "");
  throw new DpError(
    "superseded",
    `${branch} moved to ${now.slice(0, 7)} while this push waited, but this commit does not contain it`,
    {
      hint: `git pull, and push again`,
    },
  );
}

/**
 * After a good deploy: leaves the branch where git expects it while git still waits for its hook; if git is gone, moves
 * the branch here.
 */
export async function settleRef(
  repo: string,
  { ref, old }: Push,
  sha: string,
  waiting: string | undefined,
): Promise<void> {
  const now = await tipOf(repo, ref);
  const wanted = isReceiving(waiting) ? old : sha;
  if (now === wanted || (now === "" && NOWHERE.test(wanted))) return;
  const words = NOWHERE.test(wanted) ? ["-d", ref] : [ref, wanted];
  await git(repo, ["update-ref", ...words], { check: false });
}

/** A commit that was deployed by a push, but that git may not have moved the branch to yet. */
export interface Landing {
  /** Where the branch was before. */
  old: string;
  sha: string;
}

/** The clock of files may be some ms late. */
const LATE = 1_000;

const isWrittenSince = (file: string, since: string) =>
  (lstatSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0) >= Date.parse(since) - LATE;

/** The newest good deploy of a push to that branch that ended while run `id` waited for its turn, or null. */
export async function landingOf(app: NamedApp, id: string, { ref }: Push): Promise<Landing | null> {
  const [mine] = await readRuns(app, [id]);
  if (!mine) return null;
  const since = factOf(mine.run, "startedAt", fact.startedAt);
  // The end of a run is written into its file: an older file need not be read.
  const others = (await runIds(app)).filter((other) => other !== id && isWrittenSince(runFile(app, other), since));
  for (const { run, state } of (await readRuns(app, others)).toReversed()) {
    if (state !== "good" || (run.result?.endedAt ?? "") < since) continue;
    const push = factOf(run, "push", fact.push);
    if (push?.ref === ref) return { old: push.old, sha: factOf(run, "sha", fact.sha) };
  }
  return null;
}
