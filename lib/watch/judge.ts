// From what was seen to what is told: two looks, flapping, mutes and reminders. It knows no clock, file or network.
import type { Sight } from "./sight.ts";
import type { Watched } from "./state.ts";

const MINUTE = 60_000;
/** Looks in a row that make a verdict. */
const LOOKS = 2;
/** So many changes within this time, in ms, are flapping, until nothing has changed for as long. */
const FLAPS = 3;
const WINDOW = 10 * MINUTE;
/** How long an app may be unknown until that is told, in ms. */
const UNKNOWN = 5 * MINUTE;

/** What is told of an app. `since`: the start of the trouble, ISO 8601. */
export type Tell =
  | { what: "down" | "up" | "reminder" | "unasked"; since: string }
  | { what: "flaps"; since: string; changes: number }
  | { what: "failed" | "runs"; process: string; detail: string; since: string };

/** What holds for this look. Times are in ms. */
export interface Terms {
  now: number;
  /** How long it must be bad before it is down; default: two looks. */
  down?: number | undefined;
  /** How often it is said again that it is down; default: never. */
  remind?: number | undefined;
  /** Nothing is told; what is still so is told once this is over. */
  isQuiet: boolean;
}

type Past = Watched | undefined;

const iso = (ms: number) => new Date(ms).toISOString();

/** An app that nothing is known of. */
const fresh = (now: string): Watched => ({
  state: "empty",
  since: now,
  live: null,
  health: null,
  ms: null,
  detail: "",
  restarts: 0,
  verdict: "ok",
  verdictSince: now,
  doubt: null,
  told: "ok",
  trouble: null,
  changes: [],
  reminded: null,
  isHeld: false,
  unasked: null,
  failed: {},
  certificates: {},
  run: null,
});

/** After a gap, or a reboot: what was told stays, what was counted does not. */
export const anew = (past: Watched): Watched => ({ ...past, doubt: null, changes: [], unasked: null });

/** What the app is known as after this look, and what is told of it. */
export function judge(past: Past, sight: Sight, terms: Terms): { after: Watched; tells: Tell[] } {
  const now = iso(terms.now);
  const before = past ?? fresh(now);
  const judged = verdictOf(before, askedAs(before, sight), sight.isGivenUp, terms);
  const { live, health, ms, detail, restarts, isHeld } = sight;
  const after: Watched = { ...judged, live, health, ms, detail, restarts, isHeld };
  const kind = askedAs(before, sight);
  after.state = kind === "good" || kind === "bad" ? after.verdict : kind;
  const isAsked = kind === "good" || kind === "bad";
  after.since = isAsked ? after.verdictSince : before.state === after.state ? before.since : now;
  const tells = [...tellsOfUnasked(after, kind, terms), ...tellsOfProcesses(after, sight, terms)];
  // What is not asked may have changed meanwhile: it is told at the next look that asks.
  if (isAsked) tells.push(...tellsOfVerdict(after, terms));
  return { after, tells };
}

// A lock that was held at the last look may have been released a moment ago.
const askedAs = (before: Watched, sight: Sight): Sight["kind"] =>
  before.isHeld && (sight.kind === "good" || sight.kind === "bad") ? "deploying" : sight.kind;

function verdictOf(before: Watched, kind: Sight["kind"], isGivenUp: boolean, { now, down }: Terms): Watched {
  if (kind !== "good" && kind !== "bad") return { ...before, doubt: null };
  const verdict = kind === "good" ? "ok" : "down";
  if (verdict === before.verdict) return { ...before, doubt: null };
  const doubt = { since: before.doubt?.since ?? iso(now), looks: (before.doubt?.looks ?? 0) + 1 };
  const isLong =
    verdict === "down" && down !== undefined ? now - Date.parse(doubt.since) >= down : doubt.looks >= LOOKS;
  if (!isLong && !(verdict === "down" && isGivenUp)) return { ...before, doubt };
  const changes = [...recent(before.changes, now), iso(now)];
  return { ...before, verdict, verdictSince: doubt.since, doubt: null, changes };
}

const recent = (times: readonly string[], now: number) => times.filter((time) => now - Date.parse(time) < WINDOW);

/** Changes `after` to what was told. */
function tellsOfVerdict(after: Watched, { now, remind, isQuiet }: Terms): Tell[] {
  if (isQuiet) return [];
  const { verdict, told } = after;
  after.changes = recent(after.changes, now);
  if (told === "flaps" && after.changes.length > 0) return [];
  const since = after.trouble ?? after.verdictSince;
  if (told !== "flaps" && verdict !== told && after.changes.length >= FLAPS) {
    Object.assign(after, { told: "flaps", trouble: since });
    return [{ what: "flaps", since, changes: after.changes.length }];
  }
  if (verdict !== told) {
    const trouble = verdict === "down" ? after.verdictSince : null;
    Object.assign(after, { told: verdict, trouble, reminded: verdict === "down" ? iso(now) : null });
    return [{ what: verdict === "down" ? "down" : "up", since: verdict === "down" ? after.verdictSince : since }];
  }
  const last = Date.parse(after.reminded ?? "");
  if (verdict !== "down" || remind === undefined || !(now - last >= remind)) return [];
  after.reminded = iso(now);
  return [{ what: "reminder", since }];
}

function tellsOfUnasked(after: Watched, kind: Sight["kind"], { now, isQuiet }: Terms): Tell[] {
  if (kind !== "unknown") {
    after.unasked = null;
    return [];
  }
  const unasked = after.unasked ?? { since: iso(now), told: false };
  const isDue = !isQuiet && !unasked.told && now - Date.parse(unasked.since) >= UNKNOWN;
  after.unasked = { ...unasked, told: unasked.told || isDue };
  return isDue ? [{ what: "unasked", since: unasked.since }] : [];
}

function tellsOfProcesses(after: Watched, { failed, kind }: Sight, { now, isQuiet }: Terms): Tell[] {
  if (failed === null || isQuiet || kind === "bad") return [];
  const known = after.failed;
  const begun = Object.entries(failed).filter(([process]) => known[process] === undefined);
  const over = Object.entries(known).filter(([process]) => failed[process] === undefined);
  after.failed = Object.fromEntries(Object.keys(failed).map((process) => [process, known[process] ?? iso(now)]));
  return [
    ...begun.map(([process, detail]): Tell => ({ what: "failed", process, detail, since: iso(now) })),
    ...over.map(([process, since]): Tell => ({ what: "runs", process, detail: "", since })),
  ];
}
