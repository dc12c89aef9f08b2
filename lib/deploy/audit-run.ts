// The line of the audit log about a run: its purpose, the step at which it ended, and the outcome.
import type { NamedApp } from "../contracts/app.ts";
import { audit, resultOf, type AuditLine } from "../host/audit.ts";
import type { Promotes } from "../pipeline/facts.ts";
import { promotedFrom } from "../pipeline/promoted.ts";
import type { Run } from "../pipeline/run-file.ts";
import type { Who } from "../host/who.ts";
import { idOf } from "../text/ids.ts";
import { runOf } from "../release/history.ts";

/** Writes it; `what` is the run's kind unless the caller gives another word. */
export async function auditRun(
  app: NamedApp,
  id: string,
  { code, who, what }: { code: number; who: Who; what?: string | undefined },
  warn: (message: string) => void,
): Promise<void> {
  const run = (await runOf(app, id).catch(() => null))?.run; // the line matters more than its details
  const result = run?.result?.state === "superseded" ? "superseded" : resultOf(code);
  audit(
    { app: app.name, what: what ?? "deploy", run: id, ...(run ? toldBy(run, what) : {}), ...who, result, code },
    warn,
  );
}

function toldBy({ facts, journal }: Run, what: string | undefined): Partial<AuditLine> {
  const step = Object.entries(journal).find(([, entry]) => entry.error !== undefined)?.[0];
  const { kind, sha, reason, release } = facts as Record<string, string | undefined>;
  const promoted = promotedFrom((facts["promotes"] ?? null) as Promotes | null);
  const detail = kind === "restart" ? reason : kind === "rollback" ? idOf(release ?? null) : promoted;
  return {
    ...(what === undefined && kind !== undefined ? { what: kind } : {}),
    ...(sha === undefined ? {} : { sha }),
    ...(step === undefined ? {} : { step }),
    ...(detail ? { detail } : {}),
  };
}
