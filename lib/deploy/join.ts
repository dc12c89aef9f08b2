// A push of a commit that is already being deployed: it follows that deploy's log, and takes its exit code.
import type { NamedApp } from "../contracts/app.ts";
import { EXIT } from "../errors.ts";
import { isReceiving, receiver, requireTip, settleRef, type Push } from "./gate.ts";
import { describeHolder, deadline } from "./queue.ts";
import { runOf, type Holder, logOf } from "../release/history.ts";
import { print } from "../text/say.ts";
import { follow } from "./log/follower.ts";
import { ended } from "./deploy-logs.ts";

/** How long the other push may take to move the branch once its deploy is over, in ms. */
const PATIENCE = 5_000;

/** Follows the deploy that holds the app to its end, and answers its exit code; `push`: the branch that follows. */
export async function join(app: NamedApp, held: Holder, sha: string, push: Push): Promise<number> {
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
