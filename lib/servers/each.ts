// A command of dp on one of an app's servers, this one or another, line by line as it says them.
import { closeSync } from "node:fs";
import type { App } from "../contracts/app.ts";
import { DpError } from "../errors.ts";
import { eachLine } from "../host/bounded.ts";
import { pipe } from "../host/process/libc.ts";
import { SELF, selfEnv } from "../host/self.ts";
import { loginEnv } from "../host/who.ts";
import { didYouMean } from "../text/suggestion.ts";
import { quoted } from "../text/text.ts";
import { hasServers, ownName } from "./part.ts";
import { dpThere, sshEnv } from "./ssh.ts";

/** A server of the app. */
export interface Place {
  name: string;
  /** Null: this one. */
  address: string | null;
}

/** The servers that `all` or `b,c` names, in the order of config.yml. Throws DpError "usage" for a name that is none. */
export function placesNamed({ name, server }: App, word: string): Place[] {
  if (!hasServers(server))
    throw new DpError("usage", `${name} has no other servers: config.yml has no servers`, { hint: "dp help servers" });
  const all = Object.keys(server.servers);
  const wanted = word === "all" ? all : word.split(",").filter(Boolean);
  const unknown = wanted.find((each) => !all.includes(each));
  if (unknown !== undefined || wanted.length === 0)
    throw new DpError("usage", `${quoted(unknown ?? word)} is no server of ${name}: they are ${all.join(", ")}`, {
      ...didYouMean(unknown ?? word, all),
    });
  const own = ownName(server);
  const address = (each: string) => (each === own ? null : server.servers[each]!);
  return all.filter((each) => wanted.includes(each)).map((each) => ({ name: each, address: address(each) }));
}

/** Who hears what is said. */
export interface Hearing {
  out(line: string): void;
  err(line: string): void;
}

/**
 * Runs `dp WORDS` there to its end, without stdin; answers its exit code, 255 when ssh did not get there. `signal` ends
 * it: a dp that is reached by ssh notices that nobody reads it any more.
 */
export async function runAt(
  { address }: Place,
  words: readonly string[],
  { out, err }: Hearing,
  signal: AbortSignal,
): Promise<number> {
  const argv = address === null ? [...SELF, ...words] : dpThere(address, words);
  const env = address === null ? { ...selfEnv(), ...loginEnv() } : sshEnv();
  const [outs, errs] = [pipe(), pipe()];
  // In a group of its own: a Ctrl-C reaches it once, from here.
  const how = { cwd: "/", env, detached: true } as const;
  const child = Bun.spawn(argv, { ...how, stdin: "ignore", stdout: outs[1], stderr: errs[1] });
  for (const [, write] of [outs, errs]) closeSync(write);
  const end = () => void child.kill(address === null ? "SIGINT" : "SIGTERM");
  signal.addEventListener("abort", end, { once: true });
  if (signal.aborted) end();
  try {
    const [code] = await Promise.all([child.exited, heard(outs[0], out), heard(errs[0], err)]);
    return code;
  } finally {
    signal.removeEventListener("abort", end);
  }
}

async function heard(fd: number, take: (line: string) => void): Promise<void> {
  try {
    await eachLine(Bun.file(fd).stream(), take);
  } finally {
    closeSync(fd);
  }
}
