// `dp cancel`: ends a deploy before its switch, or a queued one.
import type { App } from "../contracts/app.ts";
import type { RunResult } from "../pipeline/run-file.ts";
import { DpError, EXIT } from "../errors.ts";
import { COMMIT } from "../pipeline/pipeline.ts";
import { isAlive } from "../host/process/process.ts";
import { terminate } from "../host/process/signal.ts";
import { forgetCanceller, noteCanceller } from "../deploy/canceller.ts";
import { holder, runOf, type Holder } from "../release/history.ts";
import { describeHolder, waitingFor } from "../deploy/queue.ts";
import { isReleaseId } from "../text/ids.ts";
import { servingWords } from "../deploy/serving.ts";
import { openApp } from "../release/app.ts";
import { starter } from "../host/who.ts";

export interface Cancelled {
  app: string;
  /** The run that was cancelled; null: nothing was running. */
  id: string | null;
  /** The outcome from its run file; null: its process was killed meanwhile. */
  result: RunResult | null;
  /** The release that is live, or null. */
  live: string | null;
  /** The same in words, with whether it serves. */
  serving: string;
  /** The exit code: 0 also when nothing was running. */
  code: number;
}

/**
 * Tells a deploy to end and waits until it has: the running one, or the one that `wish` names by ID or number, which
 * may be queued. Other queued deploys go on. Throws DpError "locked" when its release is live already, or when the
 * lock's holder is no deploy.
 */
export async function cancel(name: string, wish: string | undefined, say: (line: string) => void): Promise<Cancelled> {
  const app = await openApp(name);
  const held = wish === undefined ? holder(app) : named(app, wish);
  if (!held) return { app: name, id: null, result: null, ...(await nowServing(app)), code: EXIT.ok };
  const { id, pid, startTime } = held;
  if (!isReleaseId(id)) throw new DpError("locked", `${describeHolder(held)}, is running, but it is not a deploy`);
  if ((await runOf(app, id)).run.journal[COMMIT]?.state === "ok") throw tooLate(name, id);
  say(`ending ${describeHolder(held)}`);
  await noteCanceller(app, id, starter());
  try {
    if (terminate(pid, startTime)) while (isAlive(pid, startTime)) await Bun.sleep(50);
  } finally {
    await forgetCanceller(app, id);
  }
  const result = (await runOf(app, id)).run.result ?? null;
  if (result?.state === "good") throw tooLate(name, id);
  // If the deploy ended by itself in the same moment, its own outcome is reported.
  const code = result?.code === EXIT.terminated ? EXIT.ok : (result?.code ?? EXIT.terminated);
  return { app: name, id, result, ...(await nowServing(app)), code };
}

async function nowServing(app: App): Promise<Pick<Cancelled, "live" | "serving">> {
  const live = await app.live();
  return { live, serving: live === null ? "nothing, as before" : await servingWords(app, live) };
}

function named(app: App, wish: string): Holder {
  const running = holder(app);
  const all = [...(running ? [running] : []), ...waitingFor(app)];
  const found = all.find(({ id }) => id === wish || id.startsWith(`${wish}-`));
  if (found) return found;
  throw new DpError("usage", `${app.name} has no deploy ${JSON.stringify(wish)} that is running or waiting`, {
    hint: `dp lock status ${app.name}`,
  });
}

const tooLate = (app: string, id: string) =>
  new DpError("locked", `${id} is already live: it is too late to cancel it`, { hint: `dp rollback ${app}` });

/** The outcome, for people. */
export function cancelledLines({ app, id, result, serving }: Cancelled): string[] {
  if (id === null) return [`no deploy of ${app} is running`];
  const how = result?.error ?? `its process was killed; to finish or undo it: dp resume ${app}`;
  return [`${id}: ${how}`, `serving: ${serving}`];
}
