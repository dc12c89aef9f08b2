// A repository whose commit is laid out: the app's own, or one of its submodules.
import type { Io } from "../host/io.ts";
import { entriesOf, LIST, LISTING, parseListing, type CommitEntry } from "./entries.ts";
import { plainEnv, run, type Result, type RunOptions } from "../host/run.ts";

/** One commit, and how its repository is asked. */
export interface Source {
  sha: string;
  /** Where the repository came from, or null: relative addresses are relative to it. */
  url(): Promise<string | null>;
  /** Every entry of the commit that is no folder. */
  list(): Promise<readonly CommitEntry[]>;
  /** Runs git over the repository, as whoever may read it. */
  git(args: readonly string[], options?: RunOptions): Promise<Result>;
}

/** The app's own repository, which belongs to dp. `signal` ends git. */
export function ownSource(repo: string, sha: string, signal?: AbortSignal): Source {
  const git: Source["git"] = (args, options) =>
    run(["git", "--git-dir", repo, ...args], { keep: LISTING, ...(signal ? { signal } : {}), ...options });
  return {
    sha,
    git,
    list: () => entriesOf(repo, sha, signal),
    async url() {
      const { code, text } = await git(["config", "--get", "remote.origin.url"], { check: false });
      // Its password is the operator's, and what is fetched for a commit is fetched as the app's user.
      return code === 0 && text !== "" ? text.replace(/^(https?:\/\/)[^/@]*@/, "$1") : null;
    },
  };
}

/** A repository of the app's user: git runs as that user, because its settings may be anybody's. */
export function userSource(folder: string, sha: string, url: string, { user, env, timeout }: Fetcher, io: Io): Source {
  const options = { user, env, timeout, keep: LISTING, quiet: true };
  const git: Source["git"] = (args, more) => io.run(["git", "--git-dir", folder, ...args], { ...options, ...more });
  const list = async () => parseListing((await git([...LIST, sha])).text);
  return { sha, git, list, url: () => Promise.resolve(url) };
}

/** As whom, and how, something is fetched because a commit says so. */
export interface Fetcher {
  user: string | undefined;
  /** HOME is the app's: its keys and settings count, and no others. */
  env: Record<string, string>;
  /** Milliseconds that one command may take. */
  timeout: number;
}

/** The protocols by which something that a commit names may be fetched. */
export const PROTOCOLS = ["https", "http", "git", "ssh"] as const;

/**
 * git would run the programs of its `filter.lfs` settings, as whoever runs git, on files and settings that were
 * pushed. What they would put in place is fetched afterwards, as the app's user.
 */
export const NO_FILTERS = ["smudge", "clean", "process"]
  .flatMap((name) => ["-c", `filter.lfs.${name}=`])
  .concat("-c", "filter.lfs.required=false");

/** The environment of everything that is fetched because a commit says so: no questions, no other protocols. */
export const fetchEnv = (env: Record<string, string>): Record<string, string> => ({
  ...env,
  PATH: plainEnv()["PATH"] ?? "/usr/bin:/bin",
  GIT_ALLOW_PROTOCOL: PROTOCOLS.join(":"),
  GIT_TERMINAL_PROMPT: "0",
  // The commit that is wanted is named by its content: whoever answers in the host's name has nothing to say.
  GIT_SSH_COMMAND: "ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new",
});

/**
 * The address that a commit names, made whole; null when it is none that may be fetched. `base` is what a relative one
 * (`../lib.git`) is relative to.
 */
export function fetchable(url: string, base: string | null): string | null {
  if (/[\x00-\x20\x7f]/.test(url) || url.startsWith("-")) return null;
  if (url.startsWith("./") || url.startsWith("../")) return base === null ? null : fetchable(joined(base, url), null);
  const scheme = /^([a-z][a-z0-9+.-]*):\/\/([^/]+)/.exec(url);
  if (scheme || url.includes("://")) return scheme && isProtocol(scheme[1]!) && isHost(scheme[2]!) ? url : null;
  // host:path of ssh; "ext::" and the like are programs.
  const [, host = "", path = ""] = /^([^/:]+):([^:].*)$/.exec(url) ?? [];
  return path !== "" && isHost(host) ? url : null;
}

const isProtocol = (name: string) => (PROTOCOLS as readonly string[]).includes(name);
// ssh would take a host that begins with "-" for an option.
const isHost = (host: string) =>
  /^(?:[^@-][^@]*@)?(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9][A-Za-z0-9._-]*)(?::[0-9]+)?$/.test(host);

/** git's own way: each "../" takes one part of the base away. */
function joined(base: string, relative: string): string {
  let [left, right] = [base.replace(/\/+$/, ""), relative];
  for (;;) {
    if (right.startsWith("./")) right = right.slice(2);
    else if (right.startsWith("../")) {
      const cut = Math.max(left.lastIndexOf("/"), left.lastIndexOf(":"));
      const isHostLeft = cut < 0 || left.slice(0, cut + 1).endsWith("://");
      if (isHostLeft) return ""; // above the host there is nothing
      const sign = left[cut]!;
      left = sign === ":" ? left.slice(0, cut + 1) : left.slice(0, cut);
      right = right.slice(3);
    } else return left.endsWith(":") ? left + right : `${left}/${right}`;
  }
}
