// The shell line that starts an app, prepared for sh.
import { shellQuote } from "../template.ts";

// Words that sh handles itself: `exec` in front of them would look for a program of that name.
const SHELL_WORDS = new Set(
  "! { } [[ . : alias bg break case cd command continue do done elif else esac eval exec exit export fg fi for function getopts hash if jobs local pushd popd read readonly return select set shift source then time times trap type ulimit umask unalias unset until wait while".split(
    " ",
  ),
);

// An escaped character, 'text', "text", $(command), ${name} and `command` are parts of one word.
const PART = /\\[\s\S]|'[^']*'|"(?:\\[\s\S]|[^"\\])*"|\$\([^()'"`]*\)|\$\{\w+\}|`[^`'"]*`/g;

/**
 * The text of a /bin/sh script that runs a shell line, in `folder` if given. One simple command gets `exec` in front of
 * it, so that no sh stays between the manager and the app; lists, pipes, redirections and assignments are left to sh.
 */
export function startScript(command: string, folder?: string): string {
  if (folder !== undefined) return `cd -- ${shellQuote(folder)} || exit 200\n${startScript(command)}`;
  const line = command.trim();
  const plain = line.replace(PART, "x");
  const first = plain.split(/\s/, 1)[0]!;
  const isSimple =
    first !== "" && !/[;&|<>()\n'"`#\\]/.test(plain) && !/^[A-Za-z_]\w*\+?=/.test(first) && !SHELL_WORDS.has(first);
  return isSimple ? `exec ${line}` : line;
}

/** Variables that mean something to a shell itself once it has begun, or that it keeps to itself. */
const OF_SHELL =
  /^(_|IFS|ENV|CDPATH|PS\d|PPID|E?UID|GROUPS|LINENO|OPT(IND|ARG|ERR)|(OLD)?PWD|RANDOM|SECONDS|SHELLOPTS|BASH.*|POSIXLY_CORRECT)$/;

/** Lines of sh that give variables to what it runs; null: they would not be as if it had been started with them. */
export function exportLines(env: Readonly<Record<string, string>>): string | null {
  const names = Object.keys(env);
  if (names.some((name) => OF_SHELL.test(name) || !/^[A-Za-z_]\w*$/.test(name) || env[name]!.includes("\0")))
    return null;
  return names.map((name) => `export ${name}=${shellQuote(env[name]!)}\n`).join("");
}

/**
 * The same for a job. sh stays and exits with code 143 when the job is told to stop: systemd would count an end by
 * SIGTERM as success, but the job has not done its work.
 */
export const jobScript = (command: string, folder: string) =>
  `cd -- ${shellQuote(folder)} || exit 200\ntrap 'exit 143' TERM INT HUP\n${command.trim()}`;
