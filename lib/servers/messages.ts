// What the server that leads a deploy and the others say to each other: one JSON object a line, checked on both sides.
import * as v from "valibot";
import { isAppName } from "../paths.ts";
import { isReleaseId, LAST } from "../text/ids.ts";
import { fact } from "../pipeline/facts.ts";
import { shown } from "../text/text.ts";

/** Only servers that speak the same language deploy together. */
export const LANGUAGE = 1;
/** How often the one that leads says that it is there, in ms. */
export const BEAT = 2_000;
/** What it says then. */
export const BEAT_WORD = ".";
/** A word of the one that leads: go on with the switch, keep the release, go back. */
export type Word = "swap" | "keep" | "back";

const id = v.pipe(v.string(), v.check(isReleaseId));
const commit = v.pipe(v.string(), v.regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/));
const name = v.pipe(v.string(), v.check(isAppName));
// The other server may be damaged: what is printed is cut, and loses what a terminal would obey.
const text = (most: number) =>
  v.pipe(
    v.string(),
    v.transform((whole) => shown(whole.slice(0, 4 * most)).slice(0, most)),
  );
const whole = v.pipe(v.number(), v.finite(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER));

const order = v.strictObject({
  v: v.literal(LANGUAGE),
  /** The run has the same ID on all servers. */
  id,
  kind: fact.kind,
  sha: commit,
  subject: text(400),
  by: text(200),
  /** The name that this server has, that of the one that leads, and the roles. */
  name,
  lead: name,
  roles: v.record(text(40), v.array(name)),
  /** Of a rollback: the release that the one that leads goes back to. */
  to: v.nullable(id),
  /** Of a restart: why, and the settings to set, or with null to remove. */
  reason: text(400),
  changes: v.nullable(v.record(v.string(), v.nullable(v.string()))),
  /** Of a deploy: what comes built, by `dp peer take`. */
  built: fact.built,
  /** Of a rollback: with the settings that the release had. */
  withEnv: v.boolean(),
});
/** What a server is asked to do. */
export type Order = v.InferOutput<typeof order>;

const probes = v.nullable(v.strictObject({ requests: whole, failed: whole, longestGap: whole }));
const figures = { release: v.nullable(id), switchTime: v.nullable(whole), probes };

const told = v.variant("is", [
  v.strictObject({ is: v.literal("log"), line: text(500) }),
  /** The run has begun; ready: its release is healthy and waits for the switch; proven: it serves, and is healthy. */
  v.strictObject({ is: v.literal("begun") }),
  v.strictObject({ is: v.literal("ready") }),
  v.strictObject({ is: v.literal("proven"), ...figures }),
  v.strictObject({ is: v.literal("kept") }),
  v.strictObject({
    is: v.literal("ended"),
    code: whole,
    error: v.nullable(text(2_000)),
    step: v.nullable(text(40)),
    live: v.nullable(id),
    ...figures,
  }),
]);
/** What a server says of its part. */
export type Told = v.InferOutput<typeof told>;
/** The same, of one kind. */
export type ToldOf<K extends Told["is"]> = Extract<Told, { is: K }>;

const hello = v.strictObject({
  v: v.number(),
  dp: text(60),
  /** The least number that the next run may have there. */
  next: v.pipe(whole, v.maxValue(LAST)),
  live: v.nullable(id),
  sha: v.nullable(commit),
  /** The releases that it can go back to. */
  good: v.array(id),
  /** False: the newest run there was cut off, and is still to be ended. */
  isSettled: v.boolean(),
  /** Who has locked the app there by hand. */
  lock: v.nullable(text(400)),
});
/** How a server answers before anything begins. */
export type Hello = v.InferOutput<typeof hello>;

const offer = v.strictObject({
  base: v.string(),
  arch: v.string(),
  libc: v.string(),
  runtime: fact.runtime,
});
/** What a built release needs of a server. */
export type Offer = v.InferOutput<typeof offer>;

const fit = v.strictObject({
  /** Why it must be built there; null: it fits. */
  why: v.nullable(text(300)),
  /** The dependencies are there already. */
  hasDependencies: v.boolean(),
});
/** Whether a built release can run there. */
export type Fit = v.InferOutput<typeof fit>;

/** What an offer says. Throws when it is none. */
export const readOffer = (line: string): Offer => v.parse(offer, JSON.parse(line));

/** The answer to an offer; null: nothing that this dp understands. */
export const readFit = (line: string): Fit | null => read(fit, line);

/** The order in a line. Throws when it is none. */
export const readOrder = (line: string): Order => v.parse(order, JSON.parse(line));

/** What a server has said in a line; null: nothing that this dp understands. */
export const readTold = (line: string): Told | null => read(told, line);

/** The answer of a server; null: nothing that this dp understands. */
export const readHello = (line: string): Hello | null => read(hello, line);

function read<S extends v.GenericSchema>(schema: S, line: string): v.InferOutput<S> | null {
  try {
    return v.parse(schema, JSON.parse(line));
  } catch {
    return null;
  }
}
