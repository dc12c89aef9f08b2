// The order of a deploy, a rollback and a restart; the one file to edit when a step is added.
import type { Kind } from "./facts.ts";
import type { Facts, Step } from "./step.ts";

/** What each kind of run does, in order. */
export const PIPELINES = {
  deploy: [
    "read",
    "preflight",
    "clone",
    "link",
    "install",
    "build",
    "pre-deploy",
    "start",
    "check",
    "swap",
    "verify",
    "workers",
    "retire",
    "post-deploy",
    "prune",
  ],
  rollback: ["start", "check", "swap", "verify", "workers", "retire", "save-env", "prune"],
  restart: ["reuse", "start", "check", "swap", "verify", "workers", "retire", "save-env", "prune"],
} as const satisfies Record<Kind, readonly string[]>;

/** Facts that `dp begin` decides once, for all steps. */
const BEGUN = [
  ...["app", "base", "repo", "id", "kind", "sha", "subject", "by", "startedAt", "server", "push", "skipHooks"],
  "envBefore",
];

/** Facts that exist before the first step. A rollback takes those of the release it goes back to. */
export const GIVEN: Record<Kind, readonly string[]> = {
  deploy: BEGUN,
  rollback: [...BEGUN, "config", "release", "runtime"],
  restart: [...BEGUN, "config", "restarts", "runtime", "reason"],
};

/** The commit point: before this step the old release is untouched, after it the new one serves. */
export const COMMIT = "swap";

/** Every need that no earlier step provides, as "step: fact"; empty when the order is right. */
export function unmetNeeds(kind: Kind, steps: readonly Step<Facts, Facts>[]): string[] {
  const known = new Set(GIVEN[kind]);
  const unmet: string[] = [];
  for (const step of steps) {
    for (const need of Object.keys(step.needs)) if (!known.has(need)) unmet.push(`${step.name}: ${need}`);
    for (const name of Object.keys(step.provides)) known.add(name);
  }
  return unmet;
}
