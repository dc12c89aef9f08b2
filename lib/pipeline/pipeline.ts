// The order of a deploy, a rollback and a restart; the one file to edit when a step is added.
import type { Group, Kind } from "./facts.ts";
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

/**
 * The steps by which several servers do it together, each with the step that it comes before: "" for the end. The server
 * that leads has all, the others those in FOLLOWED.
 */
export const TOGETHER: Readonly<Record<string, string>> = {
  spread: "start",
  agree: "swap",
  prove: "retire",
  keep: "retire",
  gather: "",
};
const FOLLOWED: readonly string[] = ["agree", "prove"];

/** What a run does, in order: with those steps when it is for several servers. */
export function stepsOf(kind: Kind, group: Group | null): readonly string[] {
  if (group === null) return PIPELINES[kind];
  return joined(kind, group.as === "lead" ? Object.keys(TOGETHER) : FOLLOWED);
}

/** The steps of a kind of run with some of those for several servers in their places. */
function joined(kind: Kind, own: readonly string[]): readonly string[] {
  const before = (place: string) => own.filter((name) => TOGETHER[name] === place);
  return [...PIPELINES[kind].flatMap((name) => [...before(name), name]), ...before("")];
}

/** The steps of a deploy, those for several servers in their places: as they are listed. */
export const LISTED = joined("deploy", Object.keys(TOGETHER));

/** Facts that `dp begin` decides once, for all steps. */
const BEGUN = [
  ...["app", "base", "repo", "id", "kind", "sha", "subject", "by", "startedAt", "server", "push", "skipHooks"],
  ...["envBefore", "group", "built", "promotes"],
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
