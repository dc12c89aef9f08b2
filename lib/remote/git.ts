// What the user's own git says in the current folder: its remotes, and the settings that dp shares with it.
import { codeOf, DpError } from "../errors.ts";

/** The settings of git that decide how dp reaches a server. */
export interface GitSettings {
  /** `core.sshCommand`: a line for the shell. */
  sshCommand: string | undefined;
  /** `dp.remote`: the remote that is meant when there are several. */
  remote: string | undefined;
  /** False: `dp.mux` is false, and every command makes a connection of its own. */
  isShared: boolean;
}

/** A remote, and the URL that git pushes to; several when it has several. */
export interface Remote {
  name: string;
  urls: readonly string[];
}

/** The settings of git that matter here; those of the user and the machine also outside of a repository. */
export async function gitSettings(): Promise<GitSettings> {
  const { stdout } = await git("config", "--null", "--get-regexp", "^(core\\.sshcommand|dp\\.(remote|mux))$");
  // `NAME\nVALUE\0`, or `NAME\0` for a name alone, which means true. The last one counts.
  const found = new Map<string, string>();
  for (const entry of stdout.split("\0").filter(Boolean)) {
    const [name = "", ...value] = entry.split("\n");
    found.set(name, value.length > 0 ? value.join("\n") : "true");
  }
  return {
    sshCommand: found.get("core.sshcommand") || undefined,
    remote: found.get("dp.remote") || undefined,
    isShared: !/^(?:false|no|off|0|)$/i.test(found.get("dp.mux") ?? "true"),
  };
}

/**
 * The remotes of the repository around the current folder, sorted by name, with the URLs of pushes: pushurl, insteadOf
 * and pushInsteadOf are applied. None outside of a repository. Throws DpError "usage" when git refuses the repository.
 */
export async function gitRemotes(): Promise<Remote[]> {
  const { code, stdout, stderr } = await git("remote", "--verbose");
  if (code !== 0 && !/not a git repository/.test(stderr))
    throw new DpError("usage", "git cannot read the repository of this folder", { lines: stderr.trim().split("\n") });
  const found = new Map<string, string[]>();
  for (const line of stdout.split("\n")) {
    const [, name, url] = /^([^\t]+)\t(.*) \(push\)$/.exec(line) ?? [];
    if (name && url) found.set(name, [...(found.get(name) ?? []), url]);
  }
  return [...found].map(([name, urls]) => ({ name, urls }));
}

async function git(...words: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    // The answers are read: they are wanted in English.
    const env = { ...process.env, LC_ALL: "C" };
    const child = Bun.spawn(["git", ...words], { env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const [code, stdout, stderr] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()]);
    return { code, stdout, stderr };
  } catch (cause) {
    if (codeOf(cause) !== "ENOENT") throw cause;
    throw new DpError("host", "git is not installed, and the server is found by a git remote", { cause });
  }
}
