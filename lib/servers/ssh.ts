// ssh from one server of dp to another: with the key that dp has for this, or those of the user that dp is.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { serverOf } from "../config/server-address.ts";
import { DpError } from "../errors.ts";
import { plainEnv } from "../host/run.ts";
import { shellQuote } from "../host/template.ts";
import { root } from "../paths.ts";

/** The folder of the key. */
export const keyFolder = () => `${root()}/var/lib/dp/servers`;
/** The private key; its public half is beside it. */
export const keyFile = () => join(keyFolder(), "key");

/** Seconds until a server that does not answer is away. */
const CONNECT = 10;
// Nobody is there to answer a question, and a server whose key is not known is not talked to.
const OPTIONS = [
  ...["BatchMode=yes", `ConnectTimeout=${CONNECT}`, "ServerAliveInterval=5", "ServerAliveCountMax=3"],
  ...["StrictHostKeyChecking=yes", "ForwardAgent=no", "ForwardX11=no", "ClearAllForwardings=yes"],
];

/** ssh's own exit code. */
export const CUT = 255;

/** The environment of ssh: the agent of whoever has started dp is theirs. */
export const sshEnv = plainEnv;

/** The argv that runs `dp WORDS` on the server with that address. */
export function dpThere(address: string, words: readonly string[]): string[] {
  const server = serverOf(address);
  if (server === null) throw new DpError("config", `${address} is not the address of a server`);
  const { user, host, port } = server;
  return [
    ...["ssh", "-T", ...OPTIONS.flatMap((option) => ["-o", option])],
    ...(existsSync(keyFile()) ? ["-i", keyFile()] : []),
    ...(port === undefined ? [] : ["-p", String(port)]),
    ...["--", user === undefined ? host : `${user}@${host}`],
    ["dp", ...words.map(shellQuote)].join(" "),
  ];
}

/** The last line that ssh or dp there has said, as the end of a sentence. */
export function reasonIn(stderr: string, code: number): string {
  const lines = stderr.split("\n").filter((line) => line.trim() !== "" && !/^\s*→/.test(line));
  const last = lines.at(-1)?.replace(/^(?:dp|ssh): /, "") ?? "";
  if (/Host key verification failed/.test(last))
    return "its host key is not known here: connect once by hand, as the user that dp runs as";
  if (code === 127) return "dp is not installed there";
  return last === "" ? `ssh exited with code ${code}` : last;
}
