// Queues what a look has to tell. What could not be queued counts as not told, so that the next look tells it.
import type { App } from "../contracts/app.ts";
import type { Happening } from "../contracts/notifier.ts";
import { happeningOf } from "../deploy/tell.ts";
import { codeOf, messageOf } from "../errors.ts";
import { put } from "../notify/post.ts";
import { targetsFor, type Targets } from "../notify/targets.ts";
import { newestRun } from "../release/history.ts";
import type { Batch } from "./batches.ts";
import { certificatesDue } from "./certificates.ts";
import type { Watch, Watched } from "./state.ts";

type Warn = (message: string) => void;

async function queue(what: Happening, to: readonly string[], warn: Warn): Promise<boolean> {
  if (to.length === 0) return true;
  try {
    await put(what, to);
    return true;
  } catch (error) {
    warn(`no notification: ${codeOf(error) ?? messageOf(error)}`);
    return false;
  }
}

/** Queues the messages of a look; changes `after` back where that failed. */
export async function tellAll(
  batches: readonly Batch[],
  before: Watch | null,
  after: Watch,
  warn: Warn,
): Promise<void> {
  for (const { happening, apps, isDisk, to } of batches) {
    if (await queue(happening, to, warn)) continue;
    for (const app of apps) after.apps[app] = untold(before?.apps[app], after.apps[app]!);
    if (isDisk) after.disk = before?.disk ?? null;
  }
}

function untold(before: Watched | undefined, after: Watched): Watched {
  if (before === undefined) return { ...after, told: "ok", trouble: null, reminded: null, unasked: null, failed: {} };
  const { told, trouble, reminded, unasked, failed } = before;
  return { ...after, told, trouble, reminded, unasked, failed };
}

/**
 * Tells the end of an app's newest run, which its own process may have been hindered to tell: who posts it twice has
 * posted it once. While it is muted that is put off; without targets there is nobody to tell.
 */
export async function tellNewest(
  app: App,
  { targets, isMuted }: { targets: Targets | null; isMuted: boolean },
  past: Watched | undefined,
  after: Watched,
  warn: Warn,
): Promise<void> {
  const newest = await newestRun(app);
  const result = newest?.state === "running" ? undefined : newest?.run.result;
  after.run = past?.run ?? null;
  if (newest === null || result === undefined || newest.id === after.run) return;
  if (past !== undefined && targets !== null) {
    if (isMuted) return;
    const what = await happeningOf(app, newest, { code: result.code });
    const to = what === null ? [] : targetsFor(targets, what.event, app.name, app.server.notify);
    if (what !== null && !(await queue(what, to, warn))) return;
  }
  // The first look knows nothing of what was before it.
  after.run = newest.id;
}

/** Tells certificates that were not renewed in time. */
export async function tellCertificates(
  app: App,
  targets: Targets,
  now: number,
  after: Watched,
  warn: Warn,
): Promise<void> {
  const to = targetsFor(targets, "certificate", app.name, app.server.notify);
  const told: Record<string, string> = {};
  for (const { name, key, happening } of await certificatesDue(app, now)) {
    const before = after.certificates[name];
    if (before === key || (await queue(happening, to, warn))) told[name] = key;
    else if (before !== undefined) told[name] = before;
  }
  after.certificates = told;
}
