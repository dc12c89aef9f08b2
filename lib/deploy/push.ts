// What a push does to the app: the deploy branch is deployed, and every other ref is only stored.
import type { App, NamedApp } from "../contracts/app.ts";
import { DpError, EXIT } from "../errors.ts";
import { objectName } from "../git/git.ts";
import { contains, tipOf } from "../git/ref.ts";
import { runningDeployOf, runsOf } from "../release/history.ts";
import { beginCommit, findCommit, type Found } from "./begin.ts";
import { receiver, type Push } from "./gate.ts";
import { requireUnlocked } from "./hand-lock.ts";
import { beginAndLaunch } from "./launch.ts";
import { noteOwed, settleOwed } from "./owed.ts";
import type { PushOptions } from "./push-options.ts";
import { requireMovable, type RefChange } from "./pushed-refs.ts";
import { quiet } from "./queue.ts";

const NOTHING = /^0+$/;

/** What git has told of a push before it moves the first ref. */
export interface Pushing {
  /** Every ref that it moves; empty when nobody has noted them. */
  refs: readonly RefChange[];
  options: PushOptions;
}

/** The lines for whoever pushes a ref that is not deployed; null: it is the deploy branch. */
export function storedLines({ name: app, server }: App, { ref, sha }: RefChange): string[] | null {
  const { branch } = server;
  if (ref === `refs/heads/${branch}`) return null;
  const what = NOTHING.test(sha) ? "is deleted" : "is stored and not deployed";
  const name = ref.replace(/^refs\/(heads|tags)\//, "");
  const lines = [`dp: ${name} ${what}; ${app} deploys ${branch}`];
  if (ref.startsWith("refs/heads/") && !NOTHING.test(sha)) lines.push(`  → git push production ${name}:${branch}`);
  return lines;
}

/**
 * The gate of the deploy branch: deploys its new commit, or with `gate: false` notes that this is owed. Answers the exit
 * code that lets git move the branch or refuse it.
 */
export async function moveBranch(app: App, change: RefChange, pushing: () => Promise<Pushing>): Promise<number> {
  const { ref, old, sha } = change;
  const { branch, gate } = app.server;
  if (NOTHING.test(sha))
    throw new DpError("usage", `${app.name} is deployed from ${branch}, which cannot be deleted`, {
      hint: `to deploy another branch: dp setup ${app.name} --branch NAME`,
    });
  const { refs, options } = await pushing();
  // Each asks git once, and neither needs the other's answer.
  const found = gate && isWhole(sha) ? findCommit(app.places.repo, sha) : undefined;
  found?.catch(() => undefined);
  await requireMovable(app.places.repo, change, refs);
  if (gate) return deployCommit(app, sha, options, { ref, old }, found);
  requireUnlocked(app);
  await noteOwed(app, sha);
  return EXIT.ok;
}

/** After the push, with `gate: false`: deploys the deploy branch once, if it has moved. */
export async function deployMoved(app: App, refs: readonly RefChange[], options: () => PushOptions): Promise<number> {
  const { branch, gate } = app.server;
  const moved = refs.find(({ ref, sha }) => ref === `refs/heads/${branch}` && !NOTHING.test(sha));
  return gate || moved === undefined ? EXIT.ok : deployCommit(app, moved.sha, options());
}

/**
 * After a good deploy of a push whose branch git did not move for whatever reason: rolls back, unless another release
 * is live by now. Answers the exit code.
 */
export async function takeBack(app: NamedApp, { ref, sha }: Pick<RefChange, "ref" | "sha">): Promise<number> {
  const { repo } = app.places;
  const tip = await tipOf(repo, ref);
  if (tip === sha) return EXIT.ok;
  const newest = (await runsOf(app)).at(-1);
  const isOfThisPush = newest?.state === "good" && newest.run.facts["sha"] === sha && newest.run.facts["push"] !== null;
  if (!isOfThisPush || (await app.live()) !== newest.id || (await contains(repo, tip, sha))) return EXIT.ok;
  const { rollback } = await import("./rollback.ts");
  return (await rollback(app.name, undefined, { what: "git did not move the branch" })).code;
}

const isWhole = (sha: string) => objectName(sha) !== null;

/** Deploys a commit; `push`: the branch that follows; `found`: the commit, looked up already. Answers the exit code. */
export async function deployCommit(
  app: App,
  sha: string,
  options: PushOptions,
  push?: Push,
  found?: Promise<Found>,
): Promise<number> {
  if (!isWhole(sha)) throw new DpError("usage", `${JSON.stringify(sha)} is not the full name of a commit`);
  if (options["dry-run"]) return (await import("./dry-run.ts")).dryRun(app, sha);
  const { wait, without, "skip-hooks": skipHooks } = options;
  const same = push && (await runningDeployOf(app, sha, skipHooks));
  if (same) return (await import("./join.ts")).join(app, same, sha, push);
  if (wait === 0) await quiet(app, 0);
  const beginning = async () => {
    const begun = await beginCommit(app, sha, {
      skipHooks,
      isPushed: true,
      ...(push ? { push } : {}),
      ...(without ? { without } : {}),
      ...(found ? { found } : {}),
    });
    await settleOwed(app, sha);
    return begun;
  };
  return (await beginAndLaunch(app, beginning, { wait, ...(push ? { git: receiver() } : {}) })).code;
}
