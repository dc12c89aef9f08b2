// `dp peer`: what another server of the app asks this one, by ssh.
import { describeHandLock, handLock } from "../deploy/hand-lock.ts";
import { numberAfterAll } from "../deploy/begin.ts";
import { DpError } from "../errors.ts";
import { objectName } from "../git/git.ts";
import { stdinText } from "../host/bounded.ts";
import { makeIo, silentLog } from "../host/io.ts";
import { versionText } from "../host/version.ts";
import { load } from "../pipeline/run-file.ts";
import { openApp } from "../release/app.ts";
import { goodReleases, newestRun, runFile } from "../release/history.ts";
import { fits } from "../servers/built.ts";
import { takeCommit } from "../servers/commit.ts";
import { LANGUAGE, readOffer, type Fit, type Hello } from "../servers/messages.ts";
import { takePart } from "../servers/send.ts";
import { isReleaseId } from "../text/ids.ts";

/** How many releases are named. */
const MOST = 100;

/** What this server has of the app. */
export async function hello(name: string): Promise<Hello> {
  const app = await openApp(name);
  const live = await app.live();
  const lock = handLock(app);
  const run = live === null ? null : await load(runFile(app, live)).catch(() => null);
  return {
    v: LANGUAGE,
    dp: await versionText(),
    next: await numberAfterAll(app),
    live,
    sha: objectName(String(run?.facts["sha"] ?? "")),
    good: (await goodReleases(app)).slice(-MOST).map(({ id }) => id),
    isSettled: (await newestRun(app))?.state !== "unfinished",
    lock: lock && describeHandLock(lock),
  };
}

/** Takes a commit from stdin. */
export async function commit(name: string, sha: string | undefined): Promise<void> {
  if (sha === undefined || objectName(sha) === null)
    throw new DpError("usage", `${JSON.stringify(sha)} is not the full name of a commit`);
  await takeCommit(await openApp(name), sha);
}

/** Whether a built release can run here; the offer comes on stdin. */
export async function fit(name: string): Promise<Fit> {
  const offer = readOffer((await stdinText()).trim());
  return fits(await openApp(name), offer, makeIo(silentLog));
}

/** Takes a part of a built release, `42-3f9c2ab.release`, from stdin. */
export async function take(name: string, word = ""): Promise<void> {
  const [id = "", part = ""] = word.split(".");
  if (!isReleaseId(id)) throw new DpError("usage", `${JSON.stringify(word)} is no part of a run`);
  await takePart(await openApp(name), id, part);
}
