// What the end of a run is told as: failed, recovered or deployed. It never delays or fails the run.
import type { App, NamedApp } from "../contracts/app.ts";
import type { EventName, Happening } from "../contracts/notifier.ts";
import { codeOf, EXIT } from "../errors.ts";
import { within } from "../host/within.ts";
import { callSender, put } from "../notify/post.ts";
import { muteOf, readMutes, readTargets, targetsFor } from "../notify/targets.ts";
import { foreign, serverName, subjectText } from "../notify/text.ts";
import { idOf, sequenceOf } from "../text/ids.ts";
import type { Run } from "../pipeline/run-file.ts";
import { appOfRun } from "../release/app.ts";
import { runOf, runsOf, type PastRun } from "../release/history.ts";
import { secretsOf } from "../release/settings.ts";
import { redactor } from "./log/redactor.ts";
import { urlOf } from "./log/screen.ts";

/** How long a run may take for it, in ms: the rest is left to the next look. */
const PATIENCE = 50;
/** Exit codes that mean that something has failed. Others: a mistake in a file, a lock, or somebody stopped it. */
const FAILED: readonly number[] = [EXIT.bug, EXIT.command, EXIT.unhealthy, EXIT.host, EXIT.stuck];

/** Whether a run that ended with this code has failed, as far as others want to know. */
export const isFailure = (code: number): boolean => FAILED.includes(code);

/** How a run ended. `isKilled`: its process was killed, and dp has taken it back. */
export interface End {
  code: number;
  isKilled?: boolean;
}

/** Tells the targets how a run ended; a message that cannot be queued is one line for `warn`. */
export async function tellRun(app: NamedApp, id: string, end: End, warn: (message: string) => void): Promise<void> {
  try {
    await within(PATIENCE, queue(app, id, end));
  } catch (error) {
    warn(`! no notification: ${codeOf(error) ?? "it could not be queued"}`);
  }
}

async function queue(named: NamedApp, id: string, end: End): Promise<void> {
  const targets = readTargets();
  if (targets === null) return;
  const past = await runOf(named, id);
  const app = await appOfRun(past.run);
  if (muteOf(readMutes(), named.name, Date.now()) !== null) return;
  const happening = await happeningOf(app, past, end);
  if (happening === null) return;
  const to = targetsFor(targets, happening.event, app.name, app.server.notify);
  if (to.length === 0) return;
  await put(happening, to);
  callSender();
}

/** The message about the end of a run. */
export type RunHappening = Happening & { event: EventName };

/** What the end of a run is told as; null: nobody wants to know. */
export async function happeningOf(
  app: App,
  past: PastRun,
  { code, isKilled = false }: End,
): Promise<RunHappening | null> {
  const { facts } = past.run;
  const text = (name: string) => (typeof facts[name] === "string" ? facts[name] : null);
  const subject = facts["kind"] === "deploy" ? text("subject") : null;
  const base: Omit<Happening, "event" | "head"> = {
    app: app.name,
    key: past.id,
    server: serverName(),
    time: past.run.result?.endedAt ?? new Date().toISOString(),
    lines: [],
    hint: `dp logs ${app.name} --deploy ${past.id}`,
    url: urlOf(app.server),
    run: past.id,
    release: idOf(text("release")),
    step: null,
    subject: subject && foreign(subject, 200),
    by: text("by") && foreign(text("by")!, 100),
    error: null,
    since: null,
  };
  if (isKilled || isFailure(code)) return failure(app, past, base, isKilled);
  if (code !== EXIT.ok || past.run.result?.state !== "good") return null;
  return success(app, past, base);
}

type Base = Omit<Happening, "event" | "head">;

async function failure(app: App, { id, run }: PastRun, base: Base, isKilled: boolean): Promise<RunHappening> {
  const clean = redactor(await secretsOf(app));
  const step = stepOf(run);
  const raw = isKilled ? "its process was killed, and it was taken back" : (run.result?.error ?? "it failed");
  const error = foreign(clean(raw));
  const live = await app.live();
  const isStuck = run.result?.code === EXIT.stuck;
  const after = isStuck
    ? "and could not be taken back"
    : live === null
      ? "nothing is live"
      : `${live} serves as before`;
  const what = `${String(run.facts["kind"] ?? "deploy")} ${id}`;
  const head = `✗ ${app.name}: ${what} failed${step === null ? "" : ` at ${step}`}, ${after}`;
  const who = base.subject === null ? `by ${base.by}` : `${subjectText(clean(base.subject))} by ${base.by}`;
  return { ...base, event: "failed", head, lines: [`${who}: ${error}`], step, error };
}

const stepOf = ({ journal }: Run): string | null =>
  Object.entries(journal).find(([, entry]) => entry.error !== undefined)?.[0] ?? null;

async function success(app: App, past: PastRun, base: Base): Promise<RunHappening> {
  const failures = await failuresBefore(app, past.id);
  const { kind } = past.run.facts;
  const who = `by ${base.by}`;
  const what = base.subject === null ? who : `${subjectText(base.subject)} ${who}`;
  const release = base.release ?? past.id;
  // A rollback is the way out, and mends no deploy.
  if (failures > 0 && kind !== "rollback")
    return {
      ...base,
      event: "recovered",
      head: `✓ ${app.name} deploys again: ${release} ${what} (${failures} failed before)`,
    };
  const how = kind === "rollback" ? `is back at ${release}` : kind === "restart" ? "was restarted" : `is at ${release}`;
  return { ...base, event: "deployed", head: `✓ ${app.name} ${how}, ${what}` };
}

/** How many runs in a row failed before this one. */
async function failuresBefore(app: App, id: string): Promise<number> {
  let failures = 0;
  for (const past of (await runsOf(app)).toReversed()) {
    if (sequenceOf(past.id) >= sequenceOf(id) || !past.run.result) continue;
    const { state, code } = past.run.result;
    if (state === "good" && past.run.facts["kind"] !== "rollback") break;
    if (state === "failed" && isFailure(code)) failures += 1;
  }
  return failures;
}
