// `dp plan`: the order of a deploy, and what a deploy of one commit would do, without doing it.
import { GIVEN, PIPELINES, unmetNeeds } from "../pipeline/pipeline.ts";
import { appType } from "../registry.ts";
import { stepModule } from "../pipeline/module-step.ts";
import { deployRef } from "../release/first-deploy.ts";
import { makeIo, silentLog } from "../host/io.ts";
import { openApp } from "../release/app.ts";
import type { App } from "../contracts/app.ts";
import { commitOf } from "../deploy/begin.ts";
import type { Kind } from "../pipeline/facts.ts";
import { stepFile } from "../pipeline/step-files.ts";

export interface PlannedStep {
  name: string;
  summary: string;
  needs: string[];
  provides: string[];
}

/** The needs and provides of each step of a kind of run, in order. */
export async function planOfKind(
  kind: Kind,
): Promise<{ given: readonly string[]; steps: PlannedStep[]; unmet: string[] }> {
  const modules = await Promise.all(PIPELINES[kind].map((name) => stepModule(stepFile(name))));
  const steps = modules.map(({ name, summary, needs, provides }) => ({
    name,
    summary,
    needs: Object.keys(needs),
    provides: Object.keys(provides),
  }));
  return { given: GIVEN[kind], steps, unmet: unmetNeeds(kind, modules) };
}

/** A deploy of a commit: everything that is known before anything is changed. */
export interface Plan {
  app: string;
  sha: string;
  live: string | null;
  type: string;
  command: string;
  build: string | null;
  preDeploy: string | null;
  postDeploy: string | null;
  /** Null: there is no web process. */
  healthCheck: string | null;
  /** Process -> its shell line, without web. */
  processes: Record<string, string>;
  /** `NAME: SCHEDULE`. */
  cron: string[];
  manager: string;
  strategy: string;
  port: number;
}

/** Reads and checks a commit like the step "read"; throws what that throws. */
export async function planOf({ name, places, server, live }: App, sha: string): Promise<Plan> {
  const { base, repo } = places;
  const read = (await import("../../steps/read.ts")).default;
  const { config } = await read.run({ app: name, base, repo, sha, server }, makeIo(silentLog));
  return {
    app: name,
    sha,
    live: await live(),
    type: config.type,
    command: config.command ?? "known only after the dependencies are installed",
    build: config.build ?? null,
    preDeploy: config.hooks.preDeploy ?? null,
    postDeploy: config.hooks.postDeploy ?? null,
    healthCheck: config.healthCheck?.path ?? null,
    processes: Object.fromEntries(Object.entries(config.processes).map(([name, { command }]) => [name, command])),
    cron: config.cron.map(({ name, schedule }) => `${name}: ${schedule}`),
    manager: (await appType(config.type)).manager?.name ?? server.manager,
    strategy: server.strategy,
    port: server.port,
  };
}

/** A plan as `name  value` lines. */
export function planLines(plan: Plan): string[] {
  const { processes, cron, ...rest } = plan;
  const others = Object.entries(processes).map(([name, command]) => [name, command] as const);
  const lines = [...Object.entries(rest), ...others, ...cron.map((entry) => ["cron", entry] as const)];
  return lines.map(([name, value]) => `${name.padEnd(12)} ${value ?? "none"}`);
}

/** The plan for a branch, tag or commit of an app; the deploy branch without one. */
export async function planFor(name: string, ref: string | undefined): Promise<Plan> {
  const app = await openApp(name);
  return planOf(app, await commitOf(app.places.repo, ref ?? (await deployRef(app))));
}

/** The order of a deploy for people: each step with its needs and provides. */
export function orderLines({ given, steps }: Awaited<ReturnType<typeof planOfKind>>): string[] {
  const lines = [`begin         provides ${given.join(", ")}`];
  for (const { name, summary, provides } of steps) {
    lines.push(`${name.padEnd(14)}${summary}${provides.length > 0 ? `; provides ${provides.join(", ")}` : ""}`);
  }
  return lines;
}
