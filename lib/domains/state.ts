// state.json of a name: where its certificate comes from, and when the next one is tried.
import { join } from "node:path";
import type { DomainConfig } from "../config/types.ts";
import { readText, writeFileAtomic } from "../host/files.ts";
import { folderOf, makeFolder } from "./pair.ts";

/** Who gives a certificate. "acme": a CA, by order. "internal": dp's own CA. "file": the owner. */
export type Source = "acme" | "internal" | "file";

/** Times are ISO 8601. */
export interface NameState {
  source: Source;
  /** Tries that failed since the last good one. */
  tries: number;
  /** The next try; null: when a third of the lifetime is left. */
  next: string | null;
  error: string | null;
  /** The orders of the last hour. */
  orders: string[];
}

const MINUTE = 60_000;
/** Minutes until the next try after the first failure, the second, and so on. */
const PAUSES = [5, 10, 30, 60, 180, 360, 720, 1440];
const HOUR = 60 * MINUTE;
/** A CA allows five failed orders of a name in an hour. */
const ORDERS = 3;

const NEW: NameState = { source: "acme", tries: 0, next: null, error: null, orders: [] };

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
export async function note(name: string, change: Partial<NameState>): Promise<void> {
  const now = await stateOf(name);
  await makeFolder(name);
  await writeFileAtomic(fileOf(name), `${JSON.stringify({ ...now, ...change }, null, 2)}\n`, 0o600);
}

/** Records a failure, and when it is tried again; `until`: the CA's own wish. */
export async function noteFailure(name: string, error: string, until: string | null): Promise<void> {
  const { tries } = await stateOf(name);
  const pause = PAUSES[Math.min(tries, PAUSES.length - 1)]! * MINUTE;
  const own = new Date(Date.now() + pause).toISOString();
  await note(name, { error, tries: tries + 1, next: until !== null && until > own ? until : own });
}

/** Records an order; answers when the next one is allowed, or null when this one is. */
export async function noteOrder(name: string): Promise<string | null> {
  const recent = (await stateOf(name)).orders.filter((time) => Date.parse(time) > Date.now() - HOUR);
  if (recent.length >= ORDERS) return new Date(Date.parse(recent[0]!) + HOUR).toISOString();
  await note(name, { orders: [...recent, new Date().toISOString()] });
  return null;
}
