// `dp status`: what serves, whether it is healthy, and what is under way.
import { factOf, load } from "../context.ts";
import { fact } from "../facts.ts";
import { contextOf, holder, liveId, newestRun, previousId, type Holder } from "../history.ts";
import type { InstanceStatus } from "../manager.ts";
import { probe } from "../probe.ts";
import { describeHolder } from "../queue.ts";
import { manager } from "../registry.ts";
import { urlOf } from "../screen.ts";
import { appNames, readServer } from "../server.ts";
import { when } from "../table.ts";

export interface Status {
  app: string;
  url: string;
  manager: string;
  branch: string;
  /** The live release, or null before the first good deploy. */
  live: string | null;
  subject: string | null;
  by: string | null;
  deployedAt: string | null;
  previous: string | null;
  process: InstanceStatus | null;
  /** Whether the health check is answered as it should be now; null when nothing is live. */
  isHealthy: boolean | null;
  /** What the health check answered: "200", "connection refused". */
  health: string | null;
  /** Instances besides the live one: none, outside of a deploy. */
  strays: string[];
  /** The deploy under way, or null. */
  deploying: Holder | null;
  /** The newest run when it did not end well: its ID and error. */
  lastFailure: { id: string; error: string } | null;
}

/** The status of one app. */
export async function status(app: string): Promise<Status> {
  const server = await readServer(app);
  const managed = await manager(server.manager);
  const live = await liveId(app);
  const base = {
    app,
    url: urlOf(server),
    manager: server.manager,
    branch: server.branch,
    live,
    previous: await previousId(app),
  };
  const strays = (await managed.instances(app)).filter((id) => id !== live);
  const rest = { strays, deploying: holder(app), lastFailure: await lastFailure(app) };
  if (live === null)
    return {
      ...base,
      ...rest,
      subject: null,
      by: null,
      deployedAt: null,
      process: null,
      isHealthy: null,
      health: null,
    };
  const run = await load(contextOf(app, live));
  const { healthCheck } = factOf(run, "config", fact.config);
  const answer = await probe(healthCheck, server.port);
  const text = (name: "subject" | "by" | "startedAt") => factOf(run, name, fact[name]);
  return {
    ...base,
    ...rest,
    subject: text("subject"),
    by: text("by"),
    deployedAt: text("startedAt"),
    process: await managed.status({ app, id: live }),
    isHealthy: answer.isHealthy,
    health: answer.text,
  };
}

async function lastFailure(app: string): Promise<Status["lastFailure"]> {
  const last = await newestRun(app);
  if (!last || (last.state !== "failed" && last.state !== "unfinished")) return null;
  return { id: last.id, error: last.run.result?.error ?? "it was interrupted: dp resume" };
}

/** The status of every app; one that cannot be told goes to `broken`, and the others are told all the same. */
export async function statusOfAll(broken: (error: unknown) => void): Promise<Status[]> {
  const told = await Promise.allSettled((await appNames()).map(status));
  for (const outcome of told) if (outcome.status === "rejected") broken(outcome.reason);
  return told.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
}

/** A status for people. */
export function statusLines(now: Status): string[] {
  const lines = [`${now.app}  ${now.url}  ${now.manager}, branch ${now.branch}`];
  if (now.live === null) lines.push("  live       nothing yet: push to deploy");
  else
    lines.push(
      `  live       ${now.live}  ${now.subject}, by ${now.by}, ${when(now.deployedAt ?? "")}`,
      ...processLines(now),
    );
  if (now.previous) lines.push(`  previous   ${now.previous}  dp rollback ${now.app} ${now.previous} goes back`);
  if (now.deploying) lines.push(`  deploying  ${describeHolder(now.deploying)}`);
  if (now.strays.length > 0 && !now.deploying)
    lines.push(`  strays     ${now.strays.join(", ")} should not run: dp reconcile ${now.app}`);
  if (now.lastFailure) lines.push(`  last run   ${now.lastFailure.id} failed: ${now.lastFailure.error}`);
  return lines;
}

function processLines({ process, isHealthy, health }: Status): string[] {
  if (!process) return [];
  const restarts = process.restarts > 0 ? `, ${process.restarts} restarts` : "";
  const pid = process.pid === null ? "" : ` as pid ${process.pid}`;
  const since = process.since ? ` since ${when(process.since)}` : "";
  const detail = process.detail ? `: ${process.detail}` : "";
  return [
    `  process    ${process.state}${pid}${since}${restarts}${detail}`,
    `  health     ${isHealthy ? "healthy" : "NOT healthy"}: ${health}`,
  ];
}
