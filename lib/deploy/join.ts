// A push of a commit that is already being deployed: it follows that deploy's log, and takes its exit code.
import type { NamedApp } from "../contracts/app.ts";
import { factOf } from "../pipeline/run-file.ts";
import { EXIT } from "../errors.ts";
import { fact } from "../pipeline/facts.ts";
import { isReleaseId } from "../text/ids.ts";
import { isReceiving, receiver, requireTip, settleRef, type Push } from "./gate.ts";
import { describeHolder, deadline } from "./queue.ts";
import { holder, runOf, type Holder, logOf } from "../release/history.ts";
import { print } from "../text/say.ts";
import { follow } from "./log/follower.ts";
import { ended } from "./deploy-logs.ts";

/** The commit that is pushed, and the options of the push. */
interface Pushed {
  sha: string;
  skipHooks: boolean;
  push: Push;
}

/** How long the other push may take to move the branch once its deploy is over, in ms. */
const PATIENCE = 5_000;

/** Follows the deploy of the same commit to its end, and answers its exit code; null when none is running. */
export async function joinRunning(app: NamedApp, { sha, skipHooks, push }: Pushed): Promise<number | null> {
  const held = holder(app);
  if (!held || !(await isSame(app, held, sha, skipHooks))) return null;
  print(`dp: ${sha.slice(0, 7)} is already being deployed: ${describeHolder(held)}; this is its log`);
  await follow(logOf(app, held.id), 0, ended(app, held.id));
  const { result } = (await runOf(app, held.id)).run;
  if (result?.state !== "good") return result?.code ?? EXIT.terminated;
  // Both pushes want to move the branch. The first one moves it, and this one must then find it where it was at its
  // start.
  for (const isOver = deadline(PATIENCE); isReceiving(held.git) && !isOver();) await Bun.sleep(20);
  const { repo } = app.places;
  await requireTip(repo, push, sha);
  await settleRef(repo, push, sha, receiver());
  return EXIT.ok;
}

async function isSame(app: NamedApp, { id }: Holder, sha: string, skipHooks: boolean): Promise<boolean> {
  if (!isReleaseId(id)) return false;
  const { run } = await runOf(app, id);
  const isDeploy = factOf(run, "kind", fact.kind) === "deploy";
  return isDeploy && factOf(run, "sha", fact.sha) === sha && factOf(run, "skipHooks", fact.skipHooks) === skipHooks;
}
