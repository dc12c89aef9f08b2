// `dp status` for people.
import { describeHandLock } from "../deploy/hand-lock.ts";
import { describeHolder } from "../deploy/queue.ts";
import { describeMaintenance } from "../release/maintenance.ts";
import { when } from "../text/table.ts";
import { BY_HAND, type Status } from "./status.ts";
import type { InstanceStatus } from "../host/instance.ts";

/** A status for people. */
export function statusLines(now: Status): string[] {
  const lines = [`${now.app}  ${now.url}  ${now.manager}, branch ${now.branch}`];
  if (now.mistake) lines.push(`  MISTAKE    ${now.mistake}; the rest is from the config.yml of the last deploy`);
  if (now.damage) lines.push(`  DAMAGED    ${now.damage}`);
  else if (now.firstDeploy) lines.push(`  live       nothing yet: ${now.firstDeploy}`);
  if (now.live !== null) {
    const what = now.subject === null ? "" : `  ${now.subject}, by ${now.by}, ${when(now.deployedAt ?? "")}`;
    lines.push(`  live       ${now.live}${what}`, ...processLines(now));
  }
  lines.push(...rollbackLines(now));
  if (now.warm.length > 0) lines.push(`  warm       ${now.warm.join(", ")} still runs, for an instant rollback`);
  if (now.front) lines.push(`  front      ${frontLine(now.front)}`);
  else if (now.missingFront)
    lines.push(`  front      the ${now.missingFront} does not run, or does not know ${now.app}: dp reconcile`);
  if (now.servers.length > 0) lines.push(...serverLines(now));
  if (now.deploying) lines.push(`  deploying  ${describeHolder(now.deploying)}`);
  if (now.owed) lines.push(`  owed       ${now.owed} was pushed but not deployed: dp reconcile ${now.app}`);
  if (now.allow) lines.push(`  allowed    ${now.allow.join(", ")}`);
  if (now.users) lines.push(`  password   of ${now.users.join(", ")}`);
  if (now.maintenance)
    lines.push(
      `  closed     for maintenance by ${describeMaintenance(now.maintenance)}; dp maintenance ${now.app} off`,
    );
  if (now.lock) lines.push(`  locked     by ${describeHandLock(now.lock)}; dp unlock ${now.app}`);
  if (now.strays.length > 0 && !now.deploying)
    lines.push(`  strays     ${now.strays.join(", ")} should not run: dp reconcile ${now.app}`);
  if (now.lastFailure) lines.push(`  last run   ${now.lastFailure.id} failed: ${now.lastFailure.error}`);
  return lines;
}

function rollbackLines({ app, previous, rollbackTarget, settingsTarget }: Status): string[] {
  const lines: string[] = [];
  // This one is not older: after a rollback, the release before is the newer one.
  if (previous && previous !== rollbackTarget && previous !== settingsTarget)
    lines.push(`  previous   ${previous}  dp rollback ${app} ${previous} returns to it`);
  if (rollbackTarget) {
    const word = rollbackTarget === previous ? "previous" : "rollback";
    lines.push(`  ${word}   ${rollbackTarget}  dp rollback ${app} goes back`);
  }
  if (settingsTarget)
    lines.push(
      `  settings   ${settingsTarget}  the same files, its own settings: dp rollback ${app} --with-env goes back`,
    );
  return lines;
}

function serverLines({ app, servers }: Status): string[] {
  const words = servers.map(({ server, live, isInLine, error }) => {
    if (isInLine === null) return `${server} does NOT answer: ${error}`;
    return isInLine ? `${server} ${live ?? "nothing"}` : `${server} NOT in line: ${live ?? "nothing"}`;
  });
  const isBehind = servers.some(({ isInLine }) => isInLine === false);
  return [`  servers    ${words.join("; ")}${isBehind ? `; dp fleet sync ${app}` : ""}`];
}

function frontLine({
  isListening,
  error,
  isHeld,
  waiting,
  target,
  connections,
  requests,
  failed,
}: NonNullable<Status["front"]>): string {
  if (!isListening) return `does NOT listen: ${error ?? "the reason is unknown"}`;
  const held = isHeld ? `, holds ${waiting} requests back` : "";
  return `sends to ${target?.id ?? "nothing"}${held}; ${connections} connections, ${requests} requests, ${failed} failed`;
}

function processLines(now: Status): string[] {
  const { process, others, health, isHealthy } = now;
  const line = (status: InstanceStatus) => `${processLine(status)}${cureOf(status, now)}`;
  const rows = Object.entries(others).map(([name, status]) => `  ${name.padEnd(10)} ${line(status)}`);
  if (!process) return rows;
  return [
    `  process    ${line(process)}`,
    ...rows,
    ...(health === null ? [] : [`  health     ${isHealthy ? "healthy" : "NOT healthy"}: ${health}`]),
  ];
}

/** What to type for a process that nothing starts again; empty: it runs, or it was stopped by hand. */
function cureOf({ state, detail, isOrphan }: InstanceStatus, { app, deploying, missingFront }: Status): string {
  const isGone = state === "failed" || (state === "stopped" && detail !== BY_HAND);
  if (deploying || !(isGone || isOrphan)) return "";
  // Without its front, the other apps are most likely down as well.
  return `; dp reconcile${missingFront ? "" : ` ${app}`}`;
}

function processLine({ state, pid, since, restarts, detail }: InstanceStatus): string {
  const count = restarts > 0 ? `, ${restarts} restart${restarts === 1 ? "" : "s"}` : "";
  const as = pid === null ? "" : ` as pid ${pid}`;
  return `${state}${as}${since ? ` since ${when(since)}` : ""}${count}${detail ? `: ${detail}` : ""}`;
}
