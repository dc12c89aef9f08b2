// A repository whose commit is laid out: the app's own, or one of its submodules.
import type { Io } from "../host/io.ts";
import { entriesOf, LIST, LISTING, parseListing, type CommitEntry } from "./entries.ts";
import { git as gitIn } from "./git.ts";
import { plainEnv, type Result, type RunOptions } from "../host/run.ts";

/** One commit, and access to its repository. */
export interface Source {
  sha: string;
  /** The address that the repository was cloned from, or null. Relative addresses start from it. */
  url(): Promise<string | null>;
  /** Every entry of the commit except folders. */
  list(): Promise<readonly CommitEntry[]>;
  /** Runs git in the repository, as a user who may read it. */
  git(args: readonly string[], options?: RunOptions): Promise<Result>;
}

/** The app's own repository: git runs in it as its owner. `signal` ends git. */
export function ownSource(repo: string, sha: string, signal?: AbortSignal): Source {
  const git: Source["git"] = (args, options) =>
    gitIn(repo, args, { keep: LISTING, ...(signal ? { signal } : {}), ...options });
  return {
    sha,
    git,
    list: () => entriesOf(repo, sha, signal),
    async url() {
      const { code, text } = await git(["config", "--get", "remote.origin.url"], { check: false });
      // The password in the address is the operator's, but files for a commit are fetched as the app's user.
      return code === 0 && text !== "" ? text.replace(/^(https?:\/\/)[^/@]*@/, "$1") : null;
    },
  };
}

/** A repository of the app's user: git runs as that user, because the repository's settings are untrusted. */
export function userSource(folder: string, sha: string, url: string, { user, env, timeout }: Fetcher, io: Io): Source {
  const options = { user, env, timeout, keep: LISTING, quiet: true };
  const git: Source["git"] = (args, more) => io.run(["git", "--git-dir", folder, ...args], { ...options, ...more });
  const list = async () => parseListing((await git([...LIST, sha])).text);
  return { sha, git, list, url: () => Promise.resolve(url) };
}

/** The user and environment with which something is fetched for a commit. */
export interface Fetcher {
  user: string | undefined;
  /** HOME is the app's: only its keys and settings count. */
  env: Record<string, string>;
  /** The time limit of one command, in ms. */
  timeout: number;
}

/** The allowed protocols for addresses from a commit. */
export const PROTOCOLS = ["https", "http", "git", "ssh"] as const;

/**
 * Without this git would run the programs in its `filter.lfs` settings, as the user who runs git, on files and settings
 * that were pushed. The files that they would produce are fetched afterwards, as the app's user.
 */
export const NO_FILTERS = ["smudge", "clean", "process"]
  .flatMap((name) => ["-c", `filter.lfs.${name}=`])
  .concat("-c", "filter.lfs.required=false");

/** The environment for everything that is fetched for a commit: no prompts, and no other protocols. */
export const fetchEnv = (env: Record<string, string>): Record<string, string> => ({
  ...env,
  PATH: plainEnv()["PATH"] ?? "/usr/bin:/bin",
  GIT_ALLOW_PROTOCOL: PROTOCOLS.join(":"),
  GIT_TERMINAL_PROMPT: "0",
  // An unknown host key is accepted: the wanted commit is named by its content, so a false host cannot forge it.
  GIT_SSH_COMMAND: "ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new",
});

/**
 * An address from a commit, made absolute; null when it may not be fetched. `base` is the address that a relative one
 * (`../lib.git`) starts from.
 */
export function fetchable(url: string, base: string | null): string | null {
  if (/[\x00-\x20\x7f]/.test(url) || url.startsWith("-")) return null;
  if (url.startsWith("./") || url.startsWith("../")) return base === null ? null : fetchable(joined(base, url), null);
  const scheme = /^([a-z][a-z0-9+.-]*):\/\/([^/]+)/.exec(url);
  if (scheme || url.includes("://")) return scheme && isProtocol(scheme[1]!) && isHost(scheme[2]!) ? url : null;
  // The host:path form of ssh; "ext::" and the like would run programs.
  const [, host = "", path = ""] = /^([^/:]+):([^:].*)$/.exec(url) ?? [];
  return path !== "" && isHost(host) ? url : null;
}

const isProtocol = (name: string) => (PROTOCOLS as readonly string[]).includes(name);
// ssh would take a host that begins with "-" for an option.
const isHost = (host: string) =>
  /^(?:[^@-][^@]*@)?(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9][A-Za-z0-9._-]*)(?::[0-9]+)?$/.test(host);

/** Resolves a relative address as git does: each "../" removes one part of the base. */
function joined(base: string, relative: string): string {
  let [left, right] = [base.replace(/\/+$/, ""), relative];
  for (;;) {
    if (right.startsWith("./")) right = right.slice(2);
    else if (right.startsWith("../")) {
      const cut = Math.max(left.lastIndexOf("/"), left.lastIndexOf(":"));
      const isHostLeft = cut < 0 || left.slice(0, cut + 1).endsWith("://");
      if (isHostLeft) return ""; // nothing is above the host
      const sign = left[cut]!;
      left = sign === ":" ? left.slice(0, cut + 1) : left.slice(0, cut);
      right = right.slice(3);
    } else return left.endsWith(":") ? left + right : `${left}/${right}`;
  }
}
