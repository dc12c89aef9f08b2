// The machine of whoever pushes: a clone with an app in it, git over ssh, and dp from this project.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import type { Box } from "./box.ts";

const DP = resolve(import.meta.dir, "../../bin/dp");

/** What a command on the laptop came to, and how long it took in ms. */
export interface Outcome {
  code: number;
  text: string;
  ms: number;
}

/** A working copy of one app. */
export interface Laptop {
  readonly dir: string;
  /** Environment in which git reaches the box. */
  readonly env: Record<string, string>;
  /** Runs git; throws when it fails. Returns stdout, trimmed. */
  git(...argv: string[]): Promise<string>;
  /** Runs dp in the working copy; throws when it fails. */
  dp(...argv: string[]): Promise<string>;
  /** Writes files (null removes one, a text that starts with #! is executable), and commits; answers the full sha. */
  commit(files: Record<string, string | null>, message?: string): Promise<string>;
  /** `git push production HEAD:main`, options in front of the remote. Throws with what it said when it fails. */
  push(...options: string[]): Promise<Outcome>;
  /** The same, for a push that must fail: throws when it does not end with exit code 1. */
  failingPush(...options: string[]): Promise<Outcome>;
  /** The argv of a push, for those who want to run it themselves. */
  pushArgv(...options: string[]): string[];
  remove(): void;
}

/** Makes an empty clone with the remote "production" for an app of the box. */
export async function openLaptop(box: Box, app: string): Promise<Laptop> {
  const dir = mkdtempSync(join(tmpdir(), "dp-laptop-"));
  const env = {
    PATH: process.env["PATH"]!,
    HOME: dir,
    GIT_SSH_COMMAND: box.gitSsh,
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_CONFIG_SYSTEM: "/dev/null",
    GIT_TERMINAL_PROMPT: "0",
  };
  const work = join(dir, app);
  mkdirSync(work);
  const exec = async (argv: string[]): Promise<Outcome & { stdout: string }> => {
    const begun = performance.now();
    const child = Bun.spawn(argv, { cwd: work, env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const [code, stdout, stderr] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
    return { code, stdout, text: stdout + stderr, ms: performance.now() - begun };
  };
  const must = async (argv: string[]) => {
    const { code, stdout, text } = await exec(argv);
    if (code !== 0) throw new Error(`${argv.join(" ")} exited with code ${code}:\n${text}`);
    return stdout.trim();
  };
  const git = (...argv: string[]) => must(["git", "-c", "user.name=dp", "-c", "user.email=dp@localhost", ...argv]);
  const pushArgv = (...options: string[]) => ["git", "push", ...options, "production", "HEAD:main"];
  const push = async (expected: number, ...options: string[]) => {
    const outcome = await exec(pushArgv(...options));
    if (outcome.code === expected) return outcome;
    throw new Error(`git push exited with code ${outcome.code}, not ${expected}:\n${outcome.text}`);
  };
  await git("init", "-q", "-b", "main");
  await git("remote", "add", "production", box.gitUrl(`/var/repos/${app}.git`));
  return {
    dir: work,
    env,
    git,
    pushArgv,
    dp: (...argv) =>
      must([
        process.execPath,
        "--no-env-file",
        "--config=/dev/null",
        "--tsconfig-override=/dev/null",
        "--no-install",
        DP,
        ...argv,
      ]),
    async commit(files, message = "change") {
      for (const [name, text] of Object.entries(files)) write(join(work, name), text);
      await git("add", "-A", ".");
      await git("commit", "-q", "--allow-empty", "-m", message);
      return git("rev-parse", "HEAD");
    },
    push: (...options) => push(0, ...options),
    failingPush: (...options) => push(1, ...options),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

function write(path: string, text: string | null): void {
  if (text === null) return rmSync(path, { recursive: true, force: true });
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  chmodSync(path, text.startsWith("#!") ? 0o755 : 0o644);
}
