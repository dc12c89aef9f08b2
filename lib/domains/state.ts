// state.json of a name: where its certificate comes from, and when the next one is tried.
import { join } from "node:path";
import type { DomainConfig } from "../config/types.ts";
import { readText, writeFileAtomic } from "../host/files.ts";
import { folderOf, makeFolder } from "./pair.ts";

/** Who gives a certificate. "acme": a CA, by order. "internal": dp's own CA. "file": the owner. */
export type Source = "acme" | "internal" | "file";

/** What the CA has said of when it wants a certificate renewed. Times are ISO 8601. */
export interface Asked {
  /** The number of the certificate. */
  serial: string;
  /** When it may be asked again. */
  again: string;
  /** Its window; null: it has not named one. */
  start: string | null;
  end: string | null;
  /** The time that was chosen in the window. */
  at: string | null;
}

/** Times are ISO 8601. */
export interface NameState {
  source: Source;
  /** Tries since the last good one. */
  tries: number;
  /** The last try. */
  tried: string | null;
  /** The next try; null: when the certificate is due. */
  next: string | null;
  error: string | null;
  /** The orders of the last hour. */
  orders: string[];
  window: Asked | null;
}

const MINUTE = 60_000;
/** Minutes until the next try after the first failure, the second, and so on. */
const PAUSES = [5, 10, 30, 60, 180, 360, 720, 1440];
const HOUR = 60 * MINUTE;
/** The limits of CAs are for a week at most. */
const LONGEST = 8 * 24 * HOUR;
/** A CA allows five failed orders of a name in an hour. */
const ORDERS = 3;

const NEW: NameState = { source: "acme", tries: 0, tried: null, next: null, error: null, orders: [], window: null };

const fileOf = (name: string) => join(folderOf(name), "state.json");

/** The state of a name. A damaged file counts as none: the certificate itself says what is due. */
export async function stateOf(name: string): Promise<NameState> {
  try {
    return Object.assign({}, NEW, JSON.parse((await readText(fileOf(name))) ?? "{}") as Partial<NameState>);
  } catch (error) {
    if (error instanceof SyntaxError) return NEW;
    throw error;
  }
}

/** Who is to give the certificate of a domain; the state itself says who gave the one in use. */
export const sourceOf = ({ tls, certificate }: DomainConfig, { source }: NameState): Source =>
  source === "file" || certificate !== undefined ? "file" : (tls ?? "acme");

/** Changes the state of a name. */
async function note(name: string, change: Partial<NameState>): Promise<void> {
  const now = await stateOf(name);
  await makeFolder(name);
  await writeFileAtomic(fileOf(name), `${JSON.stringify({ ...now, ...change }, null, 2)}\n`, 0o600);
}

/** Records what the CA has said. */
export const noteWindow = (name: string, window: Asked) => note(name, { window });

const later = (ms: number) => new Date(Date.now() + ms).toISOString();

/**
 * Records that a try begins, as one that failed: when dp is killed, or the disk is full when it ends, the next one has
 * to wait all the same.
 */
export async function noteTry(name: string): Promise<void> {
  const { tries } = await stateOf(name);
  const next = later(PAUSES[Math.min(tries, PAUSES.length - 1)]! * MINUTE);
  await note(name, { tries: tries + 1, tried: later(0), next, error: "the last try is under way, or was interrupted" });
}

/** Records why the try failed; `until`: when the CA allows the next one, which is believed for some days. */
export async function noteFailure(name: string, error: string, until: string | null): Promise<void> {
  const [own, most] = [(await stateOf(name)).next ?? later(0), later(LONGEST)];
  const wish = until === null || until < own ? own : until;
  await note(name, { error, next: wish < most ? wish : most });
}

/** Records a try that was good; `again`: the time in ms after which the next one may be, whatever is due. */
export async function noteSuccess(name: string, source: Source, again: number | null = null): Promise<void> {
  const next = again === null ? null : later(again);
  const error = again === null ? null : "the new certificate is due at once: is the clock of this server right?";
  await note(name, { source, tries: 0, tried: later(0), next, error });
}

/** Whether the next try has to wait. A state from the future is that of a wrong clock. */
export function isWaiting({ next, tried }: NameState): boolean {
  const now = new Date().toISOString();
  return next !== null && next > now && (tried ?? "") <= now;
}

/** Records an order; answers when the next one is allowed, or null when this one is. */
export async function noteOrder(name: string): Promise<string | null> {
  const [now, from] = [later(0), later(-HOUR)];
  const recent = (await stateOf(name)).orders.filter((time) => time > from && time <= now);
  if (recent.length >= ORDERS) return new Date(Date.parse(recent[0]!) + HOUR).toISOString();
  await note(name, { orders: [...recent, now] });
  return null;
}
