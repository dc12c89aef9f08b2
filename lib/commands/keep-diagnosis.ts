// What `dp doctor` finds is kept for `dp report` and `dp fleet`: by the look once an hour, and when it is typed.
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { appNames } from "../config/server.ts";
import { codeOf } from "../errors.ts";
import { findingsLock, keepFindings, keptFindings, type KeptFindings } from "../fleet/kept.ts";
import { withoutPaths } from "../fleet/words.ts";
import { tryLock, type Lock } from "../host/lock.ts";
import { namedApp } from "../release/named-app.ts";
import { examine, type Diagnosis } from "./doctor.ts";

type Found = Pick<Diagnosis, "found">;

/** Asks `dp doctor` and keeps what it found; nothing when somebody else is just doing that. */
export async function renewFindings(): Promise<void> {
  const lock = lockFindings();
  if (lock === null) return;
  try {
    const live = await livesOf();
    await keepFindings(findingsOf(await examine(undefined), live));
  } finally {
    lock.release();
  }
}

/** The same with the diagnosis that somebody asked for, of an app or of all. It is theirs, kept or not. */
export async function lookAndKeep(app: string | undefined, look: () => Promise<Diagnosis>): Promise<Diagnosis> {
  const live = await livesOf();
  const diagnosis = await look();
  try {
    const lock = lockFindings();
    if (lock === null) return diagnosis;
    try {
      await keep(app, findingsOf(diagnosis, live));
    } finally {
      lock.release();
    }
  } catch (error) {
    if (codeOf(error) === undefined) throw error; // a full disk, or a user who may not write there
  }
  return diagnosis;
}

async function keep(app: string | undefined, found: KeptFindings): Promise<void> {
  if (app === undefined) return keepFindings(found);
  const before = await keptFindings();
  if (before === null) return; // nobody has looked at the rest
  const findings = [...before.findings.filter((each) => each.app !== app), ...found.findings];
  await keepFindings({ at: before.at, findings, live: { ...before.live, ...found.live } });
}

function lockFindings(): Lock | null {
  mkdirSync(dirname(findingsLock()), { recursive: true, mode: 0o755 });
  return tryLock(findingsLock());
}

/** What is live, by app: read before the look, so that what names another release later is known to be past. */
async function livesOf(): Promise<Record<string, string>> {
  const names = await appNames();
  const all = await Promise.all(
    names.map(async (name) => {
      const live = await namedApp(name)
        .live()
        .catch(() => null); // not a link: that is a finding
      return live === null ? [] : [[name, live] as const];
    }),
  );
  return Object.fromEntries(all.flat());
}

const findingsOf = ({ found }: Found, live: Record<string, string>): KeptFindings => ({
  at: Math.floor(Date.now() / 1000),
  findings: found.map(({ app, check, severity, what }) => ({ app, check, severity, what: withoutPaths(what) })),
  live,
});
