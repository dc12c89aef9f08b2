// The names that dp gives: `42-3f9c2ab` for a run and its release, `42-3f9c2ab.worker.2` for an instance.
import { basename } from "node:path";

const RELEASE = "[1-9][0-9]{0,8}-[0-9a-f]{7}";
/** The last number that a run can have. */
export const LAST = 999_999_999;
const WORD = "[A-Za-z][A-Za-z0-9_-]{0,27}";
const isRelease = new RegExp(`^${RELEASE}$`);
const isWord = new RegExp(`^${WORD}$`);
const isInstance = new RegExp(
  `^${RELEASE}(?:\\.(?:cron\\.${WORD}|(?!(?:web|cron|release)\\.)${WORD}\\.[1-9][0-9]{0,2}))?$`,
);

/** Whether a string is the id of a release or run: sequence number and short sha, `42-3f9c2ab`. */
export function isReleaseId(id: string): boolean {
  return isRelease.test(id);
}

/** Whether a string is a valid name for a process of an app (`worker`) or an entry of its `cron`. */
export function isProcessName(name: string): boolean {
  return isWord.test(name) && name !== "cron" && name !== "release";
}

/**
 * Whether a string is the id of an instance. The web process has the release's id, `42-3f9c2ab`. For other processes the
 * name and number follow, `42-3f9c2ab.worker.2`; for a job "cron" and the entry, `42-3f9c2ab.cron.cleanup`.
 */
export function isInstanceId(id: string): boolean {
  return isInstance.test(id);
}

/** The instance id of a release's process. */
export function instanceId(release: string, process: string, number: number): string {
  return process === "web" ? release : `${release}.${process}.${number}`;
}

/** The instance id of a release's `cron` entry. */
export const jobId = (release: string, name: string) => `${release}.cron.${name}`;

/** The release of an instance id. */
export const releaseOf = (id: string) => id.split(".", 1)[0]!;

/** The process of an instance as people type it: `web.1`, `worker.2`, `cron.cleanup`. */
export const processOf = (id: string) => id.slice(releaseOf(id).length + 1) || "web.1";

/** Whether an instance is the web process of its release. */
export const isWeb = (id: string) => !id.includes(".");

/** Whether an instance is a `cron` job, which runs once and exits. */
export const isJob = (id: string) => id.split(".")[1] === "cron";

/** Sorts instances: by release, then process, then number. */
export const compareInstances = (a: string, b: string) =>
  sequenceOf(a) - sequenceOf(b) || (isWeb(a) ? -1 : isWeb(b) ? 1 : a.localeCompare(b, "en", { numeric: true }));

/** The release id of a folder, or null when the folder is not a release. */
export function idOf(folder: string | null): string | null {
  const id = basename(folder ?? "");
  return isReleaseId(id) ? id : null;
}

/** The sequence number of `42-3f9c2ab`: 42. */
export function sequenceOf(id: string): number {
  return Number(id.slice(0, id.indexOf("-")));
}

/** The commit of `42-3f9c2ab`, shortened: 3f9c2ab. */
export const commitOf = (id: string): string => id.slice(id.indexOf("-") + 1);
