// Tells that a scheduled job has failed: once, and again only after it was good. A failure by hand tells nobody else.
import type { App } from "../contracts/app.ts";
import type { EventName, Happening } from "../contracts/notifier.ts";
import { codeOf, messageOf } from "../errors.ts";
import { callSenderFromUnit, put } from "../notify/post.ts";
import { muteOf, readMutes, readTargets, targetsFor } from "../notify/targets.ts";
import { foreign, serverName } from "../notify/text.ts";
import { hasFailedUnseen, type JobRun } from "../release/job.ts";

const EVENT: EventName = "cron";

/** Queues the message; `last` is the run before. A message that cannot be queued is one line for `warn`. */
export async function tellJob(app: App, run: JobRun, last: JobRun | null, warn: (line: string) => void): Promise<void> {
  if (run.code === 0 || hasFailedUnseen(last)) return;
  try {
    const targets = readTargets();
    if (targets === null || muteOf(readMutes(), app.name, Date.now()) !== null) return;
    const to = targetsFor(targets, EVENT, app.name, app.server.notify);
    if (to.length === 0) return;
    await put(failure(app, run), to);
    await callSenderFromUnit();
  } catch (error) {
    warn(`no notification: ${codeOf(error) ?? messageOf(error)}`);
  }
}

function failure({ name: app }: App, { name, release, startedAt, endedAt, detail }: JobRun): Happening {
  const error = foreign(detail) || "it could not be run";
  const hint = `dp logs ${app} cron.${name}`;
  return {
    event: EVENT,
    app,
    key: `${name} ${startedAt}`,
    server: serverName(),
    time: endedAt ?? startedAt,
    head: `● cron ${name} of ${app} failed on ${serverName()}: ${error}: ${hint}`,
    lines: [],
    hint,
    url: null,
    run: null,
    release,
    step: null,
    subject: null,
    by: null,
    error,
    since: startedAt,
  };
}
