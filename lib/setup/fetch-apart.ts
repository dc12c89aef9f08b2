// The operator's fetch where git runs as a user of its own, without the operator's keys and files: whoever may reach the
// other repository runs the transport, and git gets the bytes.
import { closeSync, statSync } from "node:fs";
import { DpError } from "../errors.ts";
import { git, gitUserEnv } from "../git/git.ts";
import type { Io } from "../host/io.ts";
import { accountWith } from "../host/passwd.ts";
import { pipe } from "../host/process/libc.ts";
import { tail } from "../host/process/output.ts";
import type { RunOptions } from "../host/run.ts";
import { shellQuote } from "../host/template.ts";

interface Fetch {
  repo: string;
  /** Without a password. */
  url: string;
  refs: string;
  /** The answer for git's credential helper, or null. */
  credentials: string | null;
}

const TIMEOUT = 600_000;
const FETCH = ["fetch", "--quiet", "--no-tags"];
/** The operator's settings for a network that is reached by a proxy or with an authority of its own. */
const NETWORK = /^(?:(?:https?|all|no)_proxy|GIT_SSL_CAINFO|SSL_CERT_(?:FILE|DIR))$/i;

/** Fetches `refs` into the repository. Throws DpError "command" with the words of git and of the transport. */
export async function fetchApart(fetch: Fetch, io: Io): Promise<void> {
  const { repo, url, refs } = fetch;
  if (/^(?:https?|git):\/\//i.test(url)) {
    const words = [...helper(fetch), ...FETCH, url, refs];
    await git(repo, words, { timeout: TIMEOUT, signal: io.signal, env: networkEnv(fetch) });
    return;
  }
  const transport = transportOf(url);
  const [fromServer, sending] = pipe();
  const [receiving, toServer] = pipe();
  const words = ["-c", "protocol.fd.allow=always", ...FETCH, "fd::3,4", refs];
  const [fetched, served] = await Promise.all([
    git(repo, words, { timeout: TIMEOUT, signal: io.signal, check: false, more: [fromServer, toServer] }).finally(
      () => {
        for (const fd of [fromServer, toServer]) closeSync(fd);
      },
    ),
    io
      .run(transport.argv, { ...transport.how, check: false, quiet: true, stdin: receiving, stdout: sending })
      .finally(() => [receiving, sending].forEach((fd) => closeSync(fd))),
  ]);
  if (fetched.code === 0) return;
  throw new DpError("command", `git fetch ${url} exited with code ${fetched.code}`, {
    lines: [...tail(served.text, 10), ...tail(fetched.text, 10)],
  });
}

/** Git's helper for that host alone; the password is in the environment, which only git's user and root can read. */
function helper({ url, credentials }: Fetch): string[] {
  const host = /^https?:\/\/[^/?#]+/i.exec(url)?.[0];
  if (host === undefined || credentials === null) return [];
  const key = `credential.${host}.helper`;
  return ["-c", `${key}=`, "-c", `${key}=!f() { [ "$1" != get ] || printf %s "$DP_CREDENTIALS"; }; f`];
}

function networkEnv({ credentials }: Fetch): Record<string, string> {
  const env = gitUserEnv();
  for (const [name, value] of Object.entries(process.env))
    if (NETWORK.test(name) && value !== undefined) env[name] = value;
  env["GIT_TERMINAL_PROMPT"] = "0";
  if (credentials !== null) env["DP_CREDENTIALS"] = credentials;
  return env;
}

interface Transport {
  argv: string[];
  how: Pick<RunOptions, "account" | "env" | "timeout">;
}

/** The program that speaks for the other repository: ssh with the operator's keys, or git as the owner of a folder. */
function transportOf(url: string): Transport {
  const path = /^(?:file:\/\/)?(\/.*)$/s.exec(url)?.[1];
  if (path !== undefined) return ownTransport(path);
  const words = sshWords(url);
  if (words === null)
    throw new DpError("command", `${url} cannot be fetched: dp fetches by https, http, git and ssh, and from a path`);
  const command = process.env["GIT_SSH_COMMAND"] ?? "ssh";
  const env = process.env as Record<string, string>;
  return { argv: ["/bin/sh", "-c", `exec ${command} "$@"`, "sh", ...words], how: { env, timeout: TIMEOUT } };
}

function ownTransport(path: string): Transport {
  const argv = ["git", "upload-pack", path];
  const uid = statSync(path, { throwIfNoEntry: false })?.uid ?? 0;
  if (uid === 0) return { argv, how: { timeout: TIMEOUT } };
  const account = accountWith(uid) ?? undefined;
  if (account === undefined) throw new DpError("command", `${path} belongs to uid ${uid}, which is no user here`);
  return { argv, how: { account, env: gitUserEnv(), timeout: TIMEOUT } };
}

const HOST = String.raw`((?:[^@/:\s-][^@/:\s]*@)?(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9][A-Za-z0-9._-]*))`;
const SSH_URL = new RegExp(String.raw`^(?:git\+)?ssh:\/\/${HOST}(?::([0-9]{1,5}))?(\/.+)$`, "s");
const SSH_WORD = new RegExp(`^${HOST}:(?!:|//)(.+)$`, "s");

/** The words for ssh, as git makes them; null: the address is not one of ssh. */
export function sshWords(url: string): string[] | null {
  const [, host, port, path] = SSH_URL.exec(url) ?? [];
  if (host !== undefined && path !== undefined)
    return [...(port === undefined ? [] : ["-p", port]), ...remote(host, path.replace(/^\/(?=~)/, ""))];
  const [, short, rest] = SSH_WORD.exec(url) ?? [];
  return short === undefined || rest === undefined ? null : remote(short, rest);
}

const remote = (host: string, path: string) => [host.replace(/\[|\]/g, ""), `git-upload-pack ${shellQuote(path)}`];
