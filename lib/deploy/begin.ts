// `dp begin`: decides once what must not change during a run, and writes the run file.
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { App, NamedApp } from "../contracts/app.ts";
import type { Promotes } from "../pipeline/facts.ts";
import { create } from "../pipeline/run-file.ts";
import { codeOf, DpError } from "../errors.ts";
import { namesIn, readText, writeFileAtomic } from "../host/files.ts";
import type { Push } from "./gate.ts";
import { requireCurrent } from "../release/current.ts";
import { requireUnlocked } from "./hand-lock.ts";
import { deployRef, nothingLive } from "../release/first-deploy.ts";
import { runFile, runIds } from "../release/history.ts";
import { keepSettings } from "../release/settings.ts";
import { factsOfRelease } from "../release/instance.ts";
import { waitForLock } from "../host/lock.ts";
import { isReleaseId, LAST, releaseOf, sequenceOf } from "../text/ids.ts";
import { git, objectName } from "../git/git.ts";
import { starter } from "../host/who.ts";
import type { Group } from "../pipeline/facts.ts";
import { hasServers } from "../servers/part.ts";
import type { Gathered } from "../servers/group.ts";
import type { Order } from "../servers/messages.ts";

export interface Begun {
  id: string;
  /** Path of its run file, as `--context` takes it. */
  context: string;
}

export interface BeginOptions {
  /** Leave out the hooks of deploy.yml. */
  skipHooks?: boolean;
  /** The branch that a push wants to move. */
  push?: Push;
  /** The servers that are left out on purpose. */
  without?: readonly string[];
  /** It was typed as `git push`. */
  isPushed?: boolean;
  /** The release of another app that is promoted. */
  promotes?: Promotes;
  /** The commit, when it is being looked up already. */
  found?: Promise<Found>;
}

/** How a run of several servers begins: with those left out, or on the word of the one that leads. */
export type Joint = { without: readonly string[]; isPushed?: boolean } | { id: string; group: Group; by: string };

const ALL: Joint = { without: [] };

/** The full name of a commit. Throws DpError "usage" when the repository has no such commit. */
export async function commitOf(repo: string, ref: string): Promise<string> {
  const words = ["rev-parse", "--verify", "--quiet", "--end-of-options", `${ref}^{commit}`];
  const found = await git(repo, words, { check: false });
  if (found.code === 0 && objectName(found.text) !== null) return found.text;
  throw unknownCommit(repo, ref);
}

const unknownCommit = (repo: string, ref: string) =>
  new DpError("usage", `the repository ${repo} has no commit ${JSON.stringify(ref)}`, {
    hint: "push it first, or name a branch, tag or commit that was pushed",
  });

/** A commit of a repository; `sha` is its full name. */
export interface Found {
  sha: string;
  subject: string;
}

/** The commit of that name, or that a branch or tag points at. Throws DpError "usage" when there is none. */
export async function findCommit(repo: string, ref: string): Promise<Found> {
  // A push names a full commit already, which saves one start of git.
  const name = /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(ref) ? ref : await commitOf(repo, ref);
  const words = ["log", "-1", "--no-walk", "--no-show-signature", "--format=%H %s", `${name}^{commit}`, "--"];
  const found = await git(repo, words, { check: false });
  // Not ".": it ends at U+2028, which a subject may contain.
  const [, sha, subject = ""] = /^([0-9a-f]{40,64})(?: ([^\n]*))?(?:\n|$)/.exec(found.text) ?? [];
  if (found.code !== 0 || sha !== name) throw unknownCommit(repo, ref);
  return { sha: name, subject };
}

/**
 * Begins a deploy of a commit (branch, tag or sha): it makes the run file and nothing else. Throws DpError "locked"
 * when somebody has locked the app.
 */
export async function begin(app: App, ref: string | undefined, options: BeginOptions = {}): Promise<Begun> {
  requireUnlocked(app);
  return beginCommit(app, ref ?? (await deployRef(app)), options);
}

/** The same for a commit, tag or branch that was named. */
export async function beginCommit(app: App, ref: string, options: BeginOptions = {}): Promise<Begun> {
  requireUnlocked(app);
  const { sha, subject } = await (options.found ?? findCommit(app.places.repo, ref));
  const facts = {
    kind: "deploy",
    subject,
    skipHooks: options.skipHooks === true,
    push: options.push ?? null,
    promotes: options.promotes ?? null,
  };
  return make(app, sha, facts, {
    joint: { without: options.without ?? [], isPushed: options.isPushed === true },
  });
}

/** Settings that a run starts with; they become the env file once they are proven. */
export interface Brought {
  text: string;
  /** The stamp of the env file that they were made from. */
  stamp: string;
}

/** Begins a rollback to a release, with its own settings or today's; throws DpError "run" for an unknown one. */
export async function beginRollback(app: App, to: string, brought?: Brought, joint?: Joint): Promise<Begun> {
  const { config, release, runtime, sha, subject } = await factsOfRelease(app, to);
  const facts = { kind: "rollback", subject, ...QUIETLY, config, release, runtime };
  return make(app, sha, facts, { brought, joint });
}

/** Begins a restart of the live release, with new settings or today's. Throws DpError "usage" when nothing is live. */
export async function beginRestart(app: App, reason: string, brought?: Brought, joint?: Joint): Promise<Begun> {
  await requireCurrent(app);
  const restarts = await app.live();
  if (restarts === null) throw await nothingLive(app);
  const { config, runtime, sha, subject } = await factsOfRelease(app, restarts);
  const facts = { kind: "restart", subject, ...QUIETLY, config, runtime, restarts, reason };
  return make(app, sha, facts, { brought, joint });
}

/** Begins a deploy of a commit that the server that leads has sent. */
export const beginAsPeer = (
  app: App,
  { sha, subject, built }: Pick<Order, "sha" | "subject" | "built">,
  joint: Joint,
): Promise<Begun> => make(app, sha, { kind: "deploy", subject, ...QUIETLY, built }, { joint });

const QUIETLY = { skipHooks: true, push: null, promotes: null };

async function others(
  app: App,
  { without, isPushed = false }: Exclude<Joint, { group: Group }>,
): Promise<Gathered | null> {
  if (without.length === 0 && !hasServers(app.server)) return null;
  return (await import("../servers/group.ts")).gather(app, without, isPushed);
}

interface How {
  brought?: Brought | undefined;
  joint?: Joint | undefined;
}

async function make(app: App, sha: string, facts: Record<string, unknown>, how: How): Promise<Begun> {
  const { brought, joint = ALL } = how;
  const { name, server } = app;
  const { base, repo } = app.places;
  const gathered = "group" in joint ? null : await others(app, joint);
  const group = "group" in joint ? joint.group : (gathered?.group ?? null);
  const asked = [...(gathered?.others ?? [])].map(([by, { next }]): Asked => ({ by, least: next }));
  if ("group" in joint) asked.push({ by: joint.group.lead, exactly: sequenceOf(joint.id) });
  const number = await nextNumber(app, asked);
  const id = `${number}-${sha.slice(0, 7)}`;
  if (brought) await keepSettings(app, id, brought.text);
  // The ref keeps the commit when a force push and a gc would drop it. A rollback's release has its ref already.
  if (facts["kind"] !== "rollback") await git(repo, ["update-ref", `refs/dp/${id}`, sha]);
  const context = runFile(app, id);
  const begun = {
    app: name,
    base,
    repo,
    id,
    sha,
    by: "by" in joint ? joint.by : starter(),
    startedAt: new Date().toISOString(),
  };
  const envBefore = brought?.stamp ?? null;
  await create(context, { ...begun, server, envBefore, group, built: null, ...facts });
  return { id, context };
}

/** A number that another server asks for: at least that, or exactly that. */
type Asked = { by: string; least: number } | { by: string; exactly: number };

/** How far ahead another server may be. */
const AHEAD = 10_000;
/** No number that another server asks for is larger than one for every so many seconds since then. */
const PACE = { since: Date.UTC(2020, 0) / 1000, seconds: 10 };

// One that asks for more again and again would else use them up, and no deploy would have a number any more.
const isTooFar = (wanted: number, next: number): boolean =>
  wanted > next && (wanted > next + AHEAD || wanted > (Date.now() / 1000 - PACE.since) / PACE.seconds);

/**
 * Takes the next number that suits all. Throws DpError "superseded" when what is asked for was given already, "host" when
 * it is too far ahead: the numbers come to an end, and none is given twice.
 */
async function nextNumber(app: NamedApp, asked: readonly Asked[]): Promise<number> {
  const file = join(app.places.base, "counter");
  const lock = await waitForLock(
    `${file}.lock`,
    () => undefined,
    () => undefined,
  );
  try {
    const next = await numberAfterAll(app);
    let number = next;
    for (const one of asked) {
      const wanted = "exactly" in one ? one.exactly : one.least;
      if ("exactly" in one && wanted < next)
        throw new DpError("superseded", `the number ${wanted} was given here already; the next one is ${next}`);
      if (isTooFar(wanted, next)) throw tooFar(file, next, { by: one.by, wanted });
      number = Math.max(number, wanted);
    }
    if (number > LAST)
      throw new DpError("host", `${LAST} is the last number that a deploy can have: ${file} is beyond it`);
    await writeFileAtomic(file, `${number}\n`, 0o600);
    return number;
  } finally {
    lock.release();
  }
}

const tooFar = (file: string, next: number, { by, wanted }: { by: string; wanted: number }) =>
  new DpError("host", `${by} is at number ${wanted}, and here the next one is ${next}: that is too far ahead`, {
    hint: `if the app has had as many deploys there, type on this server: echo ${wanted - 1} > ${file}`,
  });

/**
 * The number after all that were ever used. It only ever grows, whatever the clock does. It is kept in a file; if that is
 * lost, every number ever used counts.
 */
export async function numberAfterAll(app: NamedApp): Promise<number> {
  const { base, releases, logs } = app.places;
  const noted = Number((await readText(join(base, "counter"))) ?? 0);
  const names = [...(await runIds(app)), ...(await releaseNames(releases)), ...(await namesIn(logs))];
  const used = names
    .map((name) => releaseOf(name))
    .filter(isReleaseId)
    .map(sequenceOf);
  return Math.max(Number.isSafeInteger(noted) ? noted : 0, ...used) + 1;
}

async function releaseNames(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter(isReleaseId);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
    await mkdir(folder, { recursive: true });
    return [];
  }
}
