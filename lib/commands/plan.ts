// `dp plan`: the order of a deploy, and what a deploy of one commit would do, without doing it.
import { GIVEN, PIPELINES, unmetNeeds } from "../pipeline/pipeline.ts";
import { stepModule } from "../pipeline/module-step.ts";
import { deployRef } from "../release/first-deploy.ts";
import { openApp } from "../release/app.ts";
import { commitOf } from "../deploy/begin.ts";
import { planOf, type Plan } from "../deploy/plan.ts";
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
