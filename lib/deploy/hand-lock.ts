// The lock that an operator sets by hand: nobody changes the app until it is removed. It is a file, so that it outlives
// reboots.
import { link } from "node:fs/promises";
import { dirname } from "node:path";
import * as v from "valibot";
import type { NamedApp } from "../contracts/app.ts";
import { codeOf, DpError } from "../errors.ts";
import { removeFile, syncFolder, textIfThere, writeFileAtomic } from "../host/files.ts";
import { when } from "../text/table.ts";
import { starter } from "../host/who.ts";

const schema = v.object({ by: v.string(), since: v.string(), reason: v.nullable(v.string()) });

/** Who has locked an app, since when (ISO 8601), and why. */
export type HandLock = v.InferOutput<typeof schema>;

const fileOf = ({ places }: NamedApp) => `${places.base}/locked.json`;

/** The lock that was set by hand, or null. A lock that cannot be read still holds. */
export function handLock(app: NamedApp): HandLock | null {
  const text = textIfThere(fileOf(app));
  if (text === null) return null;
  try {
    return v.parse(schema, JSON.parse(text));
  } catch {
    return { by: "somebody", since: "", reason: `${fileOf(app)} is damaged` };
  }
}

/** `root@203.0.113.5 since 2026-03-01 12:04: moving the database`. */
export function describeHandLock({ by, since, reason }: HandLock): string {
  return `${by} since ${when(since)}${reason === null ? "" : `: ${reason}`}`;
}

function refusal(app: NamedApp, held: HandLock, hint: string): DpError {
  return new DpError("locked", `${app.name} is locked by ${describeHandLock(held)}`, { hint });
}

/** Throws DpError "locked", with who, since when, why and how to go on, when somebody has locked the app. */
export function requireUnlocked(app: NamedApp, hint = `dp unlock ${app.name}`): void {
  const held = handLock(app);
  if (held) throw refusal(app, held, hint);
}

/** Locks an app, durably. Throws DpError "locked" when it is locked already. */
export async function lockByHand(app: NamedApp, reason: string | null): Promise<HandLock> {
  const held: HandLock = { by: starter(), since: new Date().toISOString(), reason };
  const file = fileOf(app);
  const whole = `${file}.tmp.${process.pid}`;
  await writeFileAtomic(whole, `${JSON.stringify(held)}\n`, 0o600);
  try {
    // When two lock at the same moment, one of them gets an error; a rename would replace the other's lock.
    await link(whole, file);
  } catch (error) {
    const other = codeOf(error) === "EEXIST" ? handLock(app) : null;
    throw other ? refusal(app, other, `dp unlock ${app.name}`) : error;
  } finally {
    await removeFile(whole);
  }
  await syncFolder(dirname(file));
  return held;
}

/** Removes that lock; answers what it was, or null when there was none. */
export async function unlockByHand(app: NamedApp): Promise<HandLock | null> {
  const held = handLock(app);
  if (held && (await removeFile(fileOf(app)))) await syncFolder(app.places.base);
  return held;
}
