// `dp -s NAME ...`: any command of dp, on a server of the fleet.
import { DpError } from "../errors.ts";
import { serverNamed } from "../fleet/servers.ts";
import { send, type Sent } from "../remote/client.ts";

/** Runs the words there as if they were typed there; answers the exit code. Throws DpError "usage". */
export async function runThere(name: string, sent: Omit<Sent, "remote">): Promise<number> {
  const isVersion = ["--version", "-v"].includes(sent.words.join(" "));
  if (!isVersion && (sent.words.length === 0 || sent.words[0]!.startsWith("-")))
    throw new DpError("usage", "-s NAME needs a command behind it", { hint: `dp -s ${name} status` });
  return send((await serverNamed(name)).server, sent, { typed: `dp -s ${name}` });
}
