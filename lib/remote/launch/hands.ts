// What the steps of `dp launch` look and change with, on the server and here; a dry run prints what it would change.
import { DpError, EXIT, type ExitName } from "../../errors.ts";
import { type Answer, lineOf, type Ssh } from "../ssh.ts";

/** dp on the server; sudo's PATH, or that of the login, need not lead to it. */
export const DP = "/usr/local/bin/dp";

/** What a command reads. */
type Stdin = string | Blob | ReadableStream;

/** The commands of one launch. */
export interface Hands {
  ssh: Ssh;
  isDry: boolean;
  /** Runs words on the server as root that change nothing, also in a dry run. */
  look(words: readonly string[]): Promise<Answer>;
  /**
   * Runs words on the server as root; a dry run prints them and answers null. `from` makes what the command reads, and
   * `piped` is the local command whose output that is.
   */
  change(words: readonly string[], from?: () => Stdin, piped?: string): Promise<Answer | null>;
  /** Runs a program in the current folder, with dp's own output; a dry run prints it and answers null. */
  changeHere(argv: readonly string[]): Promise<number | null>;
}

/** The hands of a launch; `print` gets the lines of a dry run. */
export function handsFor(ssh: Ssh, needsSudo: boolean, isDry: boolean, print: (line: string) => void): Hands {
  const asRoot = (words: readonly string[]) => lineOf(needsSudo ? ["sudo", "-n", "--", ...words] : words);
  const printed = (line: string) => {
    line.split("\n").forEach((part, at) => print(at === 0 ? `  $ ${part}` : `    ${part}`));
    return null;
  };
  return {
    ssh,
    isDry,
    look: (words) => ssh.ask(asRoot(words)),
    async change(words, from, piped) {
      if (!isDry) return ssh.ask(asRoot(words), from ? { stdin: from() } : {});
      const port = ssh.server.port === undefined ? "" : `-p ${ssh.server.port} `;
      return printed(`${piped === undefined ? "" : `${piped} | `}ssh ${port}${ssh.name} ${asRoot(words)}`);
    },
    async changeHere(argv) {
      if (isDry) return printed(argv.join(" "));
      return Bun.spawn([...argv], { env: { ...process.env }, stdio: ["inherit", "inherit", "inherit"] }).exited;
    },
  };
}

/** A shell script with its arguments, as words. */
export const script = (text: string, ...words: string[]): string[] => ["sh", "-c", text.trim(), "sh", ...words];

/** Runs a program in the current folder that changes nothing; answers stdout without its last line end. */
export async function here(...argv: string[]): Promise<{ code: number; text: string }> {
  const child = Bun.spawn(argv, { env: { ...process.env }, stdin: "ignore", stdout: "pipe", stderr: "ignore" });
  const [code, text] = await Promise.all([child.exited, child.stdout.text()]);
  return { code, text: text.replace(/\n$/, "") };
}

/** The error of a command that failed on the server, with the last lines of what it printed. */
export function failed(what: string, { code, stdout, stderr }: Answer, exit?: ExitName, hint?: string): DpError {
  const lines = `${stdout}\n${stderr}`.split("\n").filter((line) => line.trim() !== "");
  const own = (Object.keys(EXIT) as ExitName[]).find((name) => EXIT[name] === code);
  return new DpError(exit ?? own ?? "command", what, { lines: lines.slice(-25), ...(hint ? { hint } : {}) });
}
