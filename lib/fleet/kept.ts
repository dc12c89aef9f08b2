// What reports keep between two calls: how ended runs ended, since when apps are down, what `dp doctor` found. All of
// it can be lost: it is found out again.
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { readText, writeFileAtomic } from "../host/files.ts";
import { root } from "../paths.ts";
import type { ReportedFinding } from "./document.ts";

/** A run that has ended: nothing about it changes any more. */
export interface EndedRun {
  state: "good" | "failed" | "superseded";
  /** The release that it put live, or would have; null: it got none. */
  release: string | null;
  by: string;
  /** Seconds since 1970. */
  endedAt: number;
  /** Milliseconds, the sum of its steps. */
  took: number;
}

export interface KeptApp {
  /** Identifies the folder of run files: another app of that name has another one. */
  folder: string;
  runs: Record<string, EndedRun>;
  /** How many ended runs have lost their record since, by their end. */
  gone: Record<EndedRun["state"], number>;
  /** Since when the app is down, in seconds since 1970; null: it is not. */
  downSince: number | null;
}

interface Kept {
  v: 1;
  apps: Record<string, KeptApp>;
}

/** What `dp doctor` found, and when, in seconds since 1970. */
export interface KeptFindings {
  at: number;
  findings: ReportedFinding[];
  /** App -> the release that was live then. An older dp did not keep it. */
  live?: Record<string, string>;
}

const fileOf = (name: string) => `${root()}/var/lib/dp/${name}.json`;
const FINDINGS = "findings";
const REPORT = "report";

async function read<T>(name: string): Promise<T | null> {
  try {
    return JSON.parse((await readText(fileOf(name))) ?? "null") as T | null;
  } catch {
    return null; // damaged, or not this user's
  }
}

/** Writes it; a report that cannot be kept is still a report. */
async function write(name: string, value: unknown): Promise<void> {
  try {
    mkdirSync(dirname(fileOf(name)), { recursive: true, mode: 0o755 });
    await writeFileAtomic(fileOf(name), JSON.stringify(value), 0o600);
  } catch {
    // a full disk, or another user's folder
  }
}

/** What was kept, by app; `save` writes it if it has changed, for these apps alone. */
export async function keptApps(): Promise<{
  apps: Map<string, KeptApp>;
  save(names: readonly string[]): Promise<void>;
}> {
  const found = await read<Kept>(REPORT);
  const before = found?.v === 1 && typeof found.apps === "object" ? (found.apps ?? {}) : {};
  const apps = new Map(Object.entries(before));
  const text = JSON.stringify(before);
  const save = async (names: readonly string[]) => {
    const now = Object.fromEntries([...apps].filter(([name]) => names.includes(name)));
    if (JSON.stringify(now) !== text) await write(REPORT, { v: 1, apps: now } satisfies Kept);
  };
  return { apps, save };
}

/** The last findings, or null. */
export async function keptFindings(): Promise<KeptFindings | null> {
  const found = await read<KeptFindings>(FINDINGS);
  return typeof found?.at === "number" && Array.isArray(found.findings) ? found : null;
}

export const keepFindings = (found: KeptFindings): Promise<void> => write(FINDINGS, found);

/** The lock that whoever looks for findings holds. */
export const findingsLock = () => fileOf(FINDINGS).replace(/\.json$/, ".lock");
