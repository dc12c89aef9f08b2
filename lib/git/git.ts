// Runs git in a repository: as the user who owns the repositories, where there is one. Its output is data, to be checked.
import { closeSync } from "node:fs";
import { writeAll } from "../host/process/input.ts";
import { pipe } from "../host/process/libc.ts";
import { plainEnv, run, type Result, type RunOptions } from "../host/run.ts";
import { ownerOf } from "./owner.ts";

/** The environment of git for that user: nobody's settings but the system's, which are root's. */
export function gitUserEnv(): Record<string, string> {
  const env = plainEnv();
  env["HOME"] = "/nonexistent";
  env["GIT_CONFIG_GLOBAL"] = "/dev/null";
  return env;
}

/** Runs git with these words in a repository, as `run` does; `env` is whole, as there. */
export function git(repo: string, words: readonly string[], options: RunOptions = {}): Promise<Result> {
  const account = ownerOf(repo);
  const argv = ["git", "--git-dir", repo, ...words];
  return run(argv, account ? { env: gitUserEnv(), ...options, account } : options);
}

/** The same with a text on git's stdin, however long. */
export async function gitWithInput(
  repo: string,
  words: readonly string[],
  text: string,
  options: RunOptions = {},
): Promise<Result> {
  const [read, to] = pipe();
  const running = git(repo, words, { ...options, stdin: read }).finally(() => closeSync(read));
  await writeAll(to, Buffer.from(text));
  return running;
}

/** The full name of a commit or object in git's output, or null. */
export const objectName = (text: string): string | null => (/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text) ? text : null);
