// `dp -s NAME ...`: any command of dp, on a server of the fleet.
import { isatty } from "node:tty";
import { DpError } from "../errors.ts";
import { serverNamed } from "../fleet/servers.ts";
import { isCut, lineOf, sshTo } from "../remote/ssh.ts";
import { say } from "../text/say.ts";

/** Commands that talk to whoever typed them. */
const INTERACTIVE = ["run", "destroy"];

/** Runs the words there, with dp's own stdin, stdout and stderr; answers the exit code. Throws DpError "usage". */
export async function runThere(name: string, words: readonly string[]): Promise<number> {
  if (words.length === 0 || words[0]!.startsWith("-"))
    throw new DpError("usage", "-s NAME needs a command behind it", { hint: `dp -s ${name} status` });
  const ssh = await sshTo((await serverNamed(name)).server);
  const isTerminal =
    INTERACTIVE.includes(words[0]!) && !words.includes("--no-tty") && [0, 1, 2].every((fd) => isatty(fd));
  const code = await ssh.attach(lineOf(["dp", ...words]), { isTerminal });
  if (isCut(code)) say(`dp: ssh to ${ssh.name} failed or was cut`);
  return code;
}
