// The parts of a promotion on the server of one of its two apps: `dp promote` starts them there.
import type { App } from "../contracts/app.ts";
import { fetchCommit, offerOf, promote, readOffer, readOrder, readyFor, serveCommit } from "../deploy/promotion.ts";
import { DpError } from "../errors.ts";
import { inputLimit } from "../git/incoming.ts";
import { stdinText } from "../host/bounded.ts";
import { makeIo, silentLog } from "../host/io.ts";
import { duplicate, limitFiles, pipe } from "../host/process/libc.ts";
import { gateOf } from "../host/who.ts";
import { openApp } from "../release/app.ts";
import { keepArchive } from "../release/arriving.ts";
import { packRelease, roomForFiles } from "../release/artefact.ts";
import { factsOfRelease } from "../release/instance.ts";
import { print, printJson } from "../text/say.ts";

const SHA = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/** One part -> what it does with its own word; answers the exit code. */
const PARTS: Readonly<Record<string, (app: App, word: string) => Promise<number | void>>> = {
  /** The app that is promoted: what it has live, as JSON. */
  offer: async (app) => print(JSON.stringify(await offerOf(app, makeIo(silentLog)))),
  commit: serveCommit,
  files: sendFiles,
  /** The app that it becomes live on: reads an offer from stdin. */
  ready: async (app) => print(JSON.stringify(await readyFor(app, readOffer(await stdinText())))),
  "take-commit": takeCommit,
  "take-files": takeFiles,
  begin: async (app) => {
    const order = readOrder(await stdinText());
    // What a key sends comes from elsewhere, whatever it says: the image of an app here may be another's.
    if (order.server === null && gateOf(process.pid) !== null)
      throw new DpError("host", `with a key, an app of this server is promoted by dp promote`, {
        hint: `dp promote ${order.offer.app} ${app.name}`,
      });
    const ended = await promote(app, order);
    if (order.json) printJson(ended, 2);
    return ended.code;
  },
};

/** Does one part. Throws DpError "usage" for any other. */
export async function handover(name: string, part: string, word = ""): Promise<number | void> {
  if (!Object.hasOwn(PARTS, part)) throw new DpError("usage", `${JSON.stringify(part)} is no part of a promotion`);
  return PARTS[part]!(await openApp(name), word);
}

function requireSha(word: string): string {
  if (SHA.test(word)) return word;
  throw new DpError("usage", `${JSON.stringify(word)} is not the full name of a commit`);
}

/** Fetches a commit through stdin and stdout. */
async function takeCommit(app: App, sha: string): Promise<void> {
  // A fetch has no limit of its own: git inherits this one, for its pack.
  const most = await inputLimit(app.places.repo);
  if (most > 0) limitFiles(most);
  // Under numbers of their own: a child's 0 and 1 are put in place before it gets others.
  const [read, write] = pipe();
  duplicate(0, read);
  duplicate(1, write);
  await fetchCommit(app, requireSha(sha), read, write);
}

/** Writes the files of the live release, which must be that one still, as an archive on stdout. */
async function sendFiles(app: App, id: string): Promise<void> {
  const live = await app.live();
  if (live !== id)
    throw new DpError("locked", `${app.name} has ${live ?? "nothing"} live by now, not ${id}`, {
      hint: "promote again",
    });
  await packRelease(app, id, (await factsOfRelease(app, id)).config, 1, makeIo(silentLog));
}

/** Keeps what stdin has for the run that follows, and prints its name. Throws DpError "host" when the disk fills up. */
async function takeFiles(app: App, sha: string): Promise<void> {
  const { name, path } = await roomForFiles(app, requireSha(sha));
  await keepArchive(app, path, Bun.stdin.stream());
  print(name);
}
