// A commit on its way from one server to another: as a pack of git's, which the other side checks.
import { closeSync } from "node:fs";
import type { App, NamedApp } from "../contracts/app.ts";
import { DpError } from "../errors.ts";
import { git, gitWithInput } from "../git/git.ts";
import { inputLimit, takeIn } from "../git/incoming.ts";
import { pipe } from "../host/process/libc.ts";
import type { Io } from "../host/io.ts";
import { isScarce } from "../release/arriving.ts";
import { roomFor } from "../release/room.ts";
import { ask } from "./ask.ts";
import { reasonIn } from "./ssh.ts";

const LIMIT = 600_000;

/** Where it goes. */
interface To {
  name: string;
  address: string;
  /** A commit that is there, or null. */
  has: string | null;
}

/** Sends a commit with its history. Throws DpError "command" with what the other server says. */
export async function sendCommit(app: NamedApp, sha: string, { name, address, has }: To, io: Io): Promise<void> {
  if (has === sha) return;
  const { repo } = app.places;
  const isKnown = has !== null && (await git(repo, ["cat-file", "-e", `${has}^{commit}`], { check: false })).code === 0;
  const [read, write] = pipe();
  const words = ["pack-objects", "--revs", "--stdout", "--thin", "--delta-base-offset", "--quiet"];
  const wanted = [sha, ...(isKnown ? [`^${has}`] : []), ""].join("\n");
  const options = { stdout: write, timeout: LIMIT, signal: io.signal, check: false };
  const packed = gitWithInput(repo, words, wanted, options).finally(() => closeSync(write));
  const sent = ask(address, ["peer", "commit", app.name, sha], { stdin: read, limit: LIMIT, signal: io.signal });
  const [pack, answer] = await Promise.all([packed, sent.finally(() => closeSync(read))]);
  io.signal.throwIfAborted();
  if (pack.code === 0 && answer.code === 0) return;
  const why = pack.code === 0 ? reasonIn(answer.stderr, answer.code) : pack.text;
  throw new DpError("command", `the commit did not reach ${name}: ${why}`);
}

/** Takes a commit from stdin. Throws DpError "command" when it is damaged, too large or not whole, "host" on a full disk. */
export async function takeCommit(app: App, sha: string): Promise<void> {
  const { repo } = app.places;
  const limit = { timeout: LIMIT };
  const { bytes: least } = await roomFor(app);
  const words = ["index-pack", "--stdin", "--fix-thin", "--strict", `--max-input-size=${await inputLimit(repo)}`];
  await takeIn(repo, words, { timeout: LIMIT, stdin: 0 }, () => isScarce(app, least));
  await git(repo, ["rev-list", "--objects", "--quiet", sha, "--not", "--all"], limit);
}

/** The deploy branch follows the release that stays, as after a push: `dp deploy` there deploys the same commit. */
export async function moveBranch({ places }: NamedApp, branch: string, sha: string): Promise<void> {
  await git(places.repo, ["update-ref", `refs/heads/${branch}`, sha], { check: false });
}
