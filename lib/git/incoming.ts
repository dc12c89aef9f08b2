// Objects that another server sends: no more than the repository takes of a push, and not onto a full disk.
import { join } from "node:path";
import { DpError } from "../errors.ts";
import { run, type RunOptions } from "../host/run.ts";
import { git, gitUserEnv } from "./git.ts";
import { ownerOf } from "./owner.ts";

/** The pause between two looks at the disk, in ms. */
const LOOK = 250;
/** As `dp setup` sets it. */
const USUAL = 2 * 1024 ** 3;

/** The most bytes that a repository takes at once, as of a push; 0: there is no limit. */
export async function inputLimit(repo: string): Promise<number> {
  const words = ["config", "--type=int", "--get", "receive.maxInputSize"];
  const { code, text } = await git(repo, words, { check: false });
  return code === 0 ? Number(text) : USUAL;
}

/**
 * Runs git, which takes objects in. Throws DpError "host" when the disk fills up on the way, "command" when git refuses
 * them; what has come of the pack is removed then.
 */
export async function takeIn(
  repo: string,
  words: readonly string[],
  options: RunOptions,
  isFull: () => Promise<boolean>,
): Promise<void> {
  const stop = new AbortController();
  const look = async () => {
    if (await isFull())
      stop.abort(
        new DpError("host", "the disk has no room for the commit and for a deploy", { hint: `df -h ${repo}` }),
      );
  };
  await look();
  stop.signal.throwIfAborted();
  // The clock of files may be some ms late.
  const since = Date.now() - 1_000;
  const timer = setInterval(() => void look().catch(() => undefined), LOOK);
  try {
    await git(repo, words, { ...options, signal: stop.signal });
  } catch (error) {
    await dropHalf(repo, since);
    throw error;
  } finally {
    clearInterval(timer);
  }
}

// git leaves half a pack where it is, and a pack that another process writes at this moment is begun once more.
async function dropHalf(repo: string, since: number): Promise<void> {
  const account = ownerOf(repo);
  const which = ["-maxdepth", "1", "-type", "f", "-name", "tmp_*", "-newermt", `@${since / 1000}`];
  const argv = ["find", join(repo, "objects/pack"), ...which, "-delete"];
  await run(argv, { check: false, quiet: true, ...(account ? { env: gitUserEnv(), account } : {}) });
}
