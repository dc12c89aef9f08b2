// Cluster mode: pm2 loads a node script itself, in several workers, so the shell line must contain nothing else.
import { DpError } from "../../errors.ts";

/** A command that cluster mode can run. */
export interface ClusterScript {
  /** As in the command: relative to the release's folder. */
  script: string;
  args: string[];
  /** node's own options: `--enable-source-maps`. */
  flags: string[];
}

const WORD = /^(?:'([^']*)'|"([^"$`\\]*)"|([\w@%+=:,./-]+))$/;
// Words, quotes around whole words, and nothing that a shell would interpret.
const WORDS = /'[^']*'|"[^"]*"|[^\s'"]+/g;
/** Lower-case names that are no pm2 settings: proxies, and npm's variables for scripts. */
const HARMLESS = /^(?:(?:http|https|ftp|all|no)_proxy|npm_.*)$/;

/**
 * The script of a command such as `node [--flag] FILE [arguments]`. Throws DpError "config" for any other command, and
 * for a variable whose name is a pm2 setting.
 */
export function clusterOf(command: string, workers: number, env: Readonly<Record<string, string>>): ClusterScript {
  const line = command.trim();
  const words = (line.match(WORDS) ?? []).map((word) => WORD.exec(word));
  // The words, joined again, must equal the line: two quoted words without a space are one, and not a plain one.
  const isPlain =
    words.every((word) => word !== null) && words.map((word) => word![0]).join(" ") === line.replace(/\s+/g, " ");
  const values = words.map((word) => word?.[1] ?? word?.[2] ?? word?.[3] ?? "");
  const at = values.findIndex((value, index) => index > 0 && !value.startsWith("-"));
  const flags = values.slice(1, Math.max(at, 1));
  if (!isPlain || values[0] !== "node" || at < 1 || !flags.every((flag) => flag.startsWith("--"))) {
    throw new DpError(
      "config",
      `instances: ${workers} needs a command that is "node FILE", not ${JSON.stringify(line)}`,
      {
        lines: ["workers share the port in pm2's cluster mode only, which loads a file of node, without a shell"],
        hint: "write command: node FILE in deploy.yml, or instances: 1 in config.yml and let the app start its own workers",
      },
    );
  }
  const taken = Object.keys(env).filter((name) => /^[a-z]/.test(name) && !HARMLESS.test(name));
  if (taken.length > 0)
    throw new DpError(
      "config",
      `with instances: ${workers} pm2 takes ${taken.join(", ")} of the env file for its own settings`,
      {
        hint: "give them names in capitals",
      },
    );
  return { script: values[at]!, args: values.slice(at + 1), flags };
}
