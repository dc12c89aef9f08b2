// One look at one app: its manager, its front, and its health check through the public port. It changes nothing.
import { statSync } from "node:fs";
import type { App } from "../contracts/app.ts";
import type { InstanceStatus } from "../host/instance.ts";
import { DpError, messageOf } from "../errors.ts";
import { askPublic } from "../health/public-check.ts";
import { isWeb, processOf } from "../text/ids.ts";
import { factOf, load } from "../pipeline/run-file.ts";
import { fact } from "../pipeline/facts.ts";
import { damageOf } from "../release/current.ts";
import { holder, newestRun, runFile } from "../release/history.ts";
import { hasWeb, idsOfRelease, stoppedIds } from "../release/processes.ts";
import type { DeployConfig } from "../config/types.ts";

/** What a look at an app saw. */
export interface Sight {
  /** "good" and "bad": it was asked. "unknown": it could not be asked. The others are not asked. */
  kind: "good" | "bad" | "deploying" | "stopped" | "empty" | "unknown";
  /** Its manager does not start it again: no second look is needed. */
  isGivenUp: boolean;
  live: string | null;
  health: string | null;
  ms: number | null;
  detail: string;
  restarts: number;
  /** Processes other than web that failed for good: "worker.1" -> how. Null: they were not asked. */
  failed: Record<string, string> | null;
  /** A deploy, restart or stop holds the app. */
  isHeld: boolean;
}

/** How long one question may take, in ms. */
const PATIENCE = 5_000;
/** How long an app is left alone after a deploy, restart or stop, in ms. */
const QUIET = 30_000;

const UNASKED: Sight = {
  kind: "empty",
  isGivenUp: false,
  live: null,
  health: null,
  ms: null,
  detail: "",
  restarts: 0,
  failed: null,
  isHeld: false,
};

/** Looks at an app. Never throws: what cannot be asked is "unknown", with the reason in `detail`. */
export async function look(app: App, now: number): Promise<Sight> {
  try {
    return await within(PATIENCE * 2, seen(app, now));
  } catch (error) {
    return unknown(error);
  }
}

/** An app that could not be asked. */
export const unknown = (error: unknown): Sight => ({ ...UNASKED, kind: "unknown", detail: messageOf(error) });

async function seen(app: App, now: number): Promise<Sight> {
  const live = await app.live();
  if (holder(app) !== null) return { ...UNASKED, kind: "deploying", live, isHeld: true };
  const damage = await damageOf(app);
  if (damage !== null) return { ...UNASKED, kind: "unknown", detail: damage.what };
  if (live === null) return UNASKED;
  if (await wasHeld(app, now)) return { ...UNASKED, kind: "deploying", live };
  const config = factOf(await load(runFile(app, live)), "config", fact.config);
  const stopped = await stoppedIds(app);
  const wanted = idsOfRelease(live, config, app.server).filter((id) => !stopped.has(id));
  if (wanted.length === 0 || (hasWeb(config) && stopped.has(live))) return { ...UNASKED, kind: "stopped", live };
  return asked(app, live, config, wanted);
}

// The lock file says when somebody took it last; a run says when it ended.
async function wasHeld(app: App, now: number): Promise<boolean> {
  const taken = statSync(app.places.lock, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const ended = Date.parse((await newestRun(app))?.run.result?.endedAt ?? "");
  return [taken, ended].some((time) => now - time >= 0 && now - time < QUIET);
}

async function asked(app: App, live: string, config: DeployConfig, wanted: readonly string[]): Promise<Sight> {
  const [states, web] = await Promise.all([statesOf(app, wanted), webOf(app, config)]);
  const failed = [...states].filter(([id, { state }]) => !isWeb(id) && state === "failed");
  const others = { failed: Object.fromEntries(failed.map(([id, { detail }]) => [processOf(id), detail])) };
  const own = hasWeb(config) ? [states.get(live)!] : [...states.values()];
  const restarts = own.reduce((sum, status) => sum + status.restarts, 0);
  const base = { ...UNASKED, ...others, live, restarts, health: web?.text ?? null, ms: web?.ms ?? null };
  // Without a web process, any running process answers for the app.
  const isRunning = own.some(({ state }) => state === "running");
  if (isRunning && web?.isHealthy !== false) return { ...base, kind: "good" };
  const isGivenUp = own.every(({ state }) => state === "failed" || state === "stopped");
  return { ...base, kind: "bad", isGivenUp, detail: wordsOf(own[0]!, isRunning) };
}

async function statesOf({ name, manager }: App, ids: readonly string[]): Promise<Map<string, InstanceStatus>> {
  const states = ids.map((id) => within(PATIENCE, manager.status({ app: name, id })));
  const all = await Promise.all(states);
  return new Map(ids.map((id, at) => [id, all[at]!]));
}

async function webOf(app: App, { healthCheck }: DeployConfig) {
  if (healthCheck === undefined) return null;
  const check = { ...healthCheck, timeout: Math.min(healthCheck.timeout, PATIENCE) };
  const answer = await askPublic(app, check);
  const ms = Math.round(answer.ms);
  const route = answer.isHealthy ? null : await within(PATIENCE, app.front.status(app.name, true)).catch(() => null);
  const text = `GET ${healthCheck.path.split("?")[0]} ${answer.text.split("?")[0]}`;
  const front = route && !route.isListening ? `; the ${app.front.name} does not listen` : "";
  return { isHealthy: answer.isHealthy, ms, text: answer.isHealthy ? answer.text : `${text}${front}` };
}

function wordsOf({ state, detail, isUnhealthy }: InstanceStatus, isRunning: boolean): string {
  if (isRunning && isUnhealthy !== true) return "";
  return detail || (isRunning ? "" : state === "stopped" ? "it was stopped, but not by dp stop" : state);
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new DpError("host", `no answer within ${ms / 1000} s`)), ms);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
