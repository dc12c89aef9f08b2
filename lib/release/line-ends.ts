// Scripts with Windows line ends: the kernel looks for an interpreter whose name ends with a carriage return.
import { posix } from "node:path";
import type { Path } from "../config/yaml.ts";
import type { DeployConfig } from "../config/types.ts";
import { DpError } from "../errors.ts";
import type { Tree } from "../git/tree.ts";

/** The shell lines of a config, with their places in deploy.yml. */
function shellLines({ hooks, build, command, processes, cron }: DeployConfig): [path: Path, line: string][] {
  const lines: [Path, string | undefined][] = [
    [["hooks", "preDeploy"], hooks.preDeploy],
    [["hooks", "postDeploy"], hooks.postDeploy],
    [["build"], build],
    [["command"], command],
    ...Object.entries(processes).map(([name, it]): [Path, string] => [["processes", name], it.command]),
    ...cron.map((it, index): [Path, string] => [["cron", index, "command"], it.command]),
  ];
  return lines.flatMap(([path, line]): [Path, string][] => (line === undefined ? [] : [[path, line]]));
}

const BEFORE = /^(?:[A-Za-z_][A-Za-z0-9_]*=.*|exec|nohup|time|env|command)$/;
const SHELLS = ["sh", "bash", "dash", "source", "."];

/** The files that a shell line runs by name or through a shell: `./a.sh && sh b.sh` runs `a.sh` and `b.sh`. */
export function scriptsOf(line: string): string[] {
  return line.split(/&&|\|\||[;|&()\n]/).flatMap((part) => {
    const words = part.trim().split(/\s+/);
    const at = words.findIndex((word) => !BEFORE.test(word));
    const first = words[at] ?? "";
    const script = SHELLS.includes(first) ? words.slice(at + 1).find((word) => !word.startsWith("-")) : first;
    if (script === undefined || script.startsWith("/")) return [];
    return first === script && !script.includes("/") ? [] : [posix.normalize(script)];
  });
}

/** The text of a file of the commit; "" for one that is not text. */
async function textOf(tree: Tree, file: string): Promise<string> {
  try {
    return (await tree.read(file)) ?? "";
  } catch (error) {
    if (error instanceof DpError) return ""; // A binary program
    throw error;
  }
}

/**
 * The scripts of a config that have Windows line ends, at their places in deploy.yml, with the command that repairs
 * each.
 */
export async function lineEndProblems(tree: Tree, config: DeployConfig): Promise<{ path: Path; what: string }[]> {
  const problems: { path: Path; what: string }[] = [];
  for (const [path, line] of shellLines(config)) {
    for (const script of scriptsOf(line)) {
      const file = posix.join(config.root ?? "", script);
      if (!/^[^\n]*\r\n/.test(await textOf(tree, file))) continue;
      problems.push({ path, what: `${file} has Windows line ends: sed -i 's/\\r$//' ${file}` });
    }
  }
  return problems;
}
