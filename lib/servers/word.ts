// On a server that follows: the word of the one that leads, and until when it counts as being there. Both are files beside
// the run file, because the run and the line are two processes.
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { NamedApp } from "../contracts/app.ts";
import { DpError } from "../errors.ts";
import { readText, removeFile, writeFileAtomic } from "../host/files.ts";
import type { Io } from "../host/io.ts";
import type { Word } from "./messages.ts";

/** How long the one that leads may say nothing, in seconds. */
export const LEASE = 20;
const LOOK = 20;

const wordFile = ({ places }: NamedApp, id: string) => join(places.runs, `${id}.word`);
const leaseFile = ({ places }: NamedApp, id: string) => join(places.runs, `${id}.lease`);

/** Seconds since boot: no clock that somebody sets. */
const uptime = () => Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]);

/** Notes that the one that leads is there now. By a rename: the run reads it at any moment. */
export function renewLease(app: NamedApp, id: string): void {
  const next = `${leaseFile(app, id)}.next`;
  writeFileSync(next, `${uptime()}\n`, { mode: 0o600 });
  renameSync(next, leaseFile(app, id));
}

async function isLost(app: NamedApp, id: string): Promise<boolean> {
  const since = Number((await readText(leaseFile(app, id))) ?? Number.NaN);
  // After a reboot it was there at a later time than now.
  return !(since <= uptime() && uptime() - since <= LEASE);
}

/** Whether its last word was that the release stays. */
export const isKept = async (app: NamedApp, id: string): Promise<boolean> =>
  (await readText(wordFile(app, id))) === "keep";

/** Notes its word; after "keep" nothing else counts. */
export async function noteWord(app: NamedApp, id: string, word: Word): Promise<void> {
  if (!(await isKept(app, id))) await writeFileAtomic(wordFile(app, id), word, 0o600);
}

/** Removes both files. */
export async function forgetWords(app: NamedApp, id: string): Promise<void> {
  await removeFile(wordFile(app, id));
  await removeFile(leaseFile(app, id));
}

/** Waits for a word. Throws DpError "command" when the word is to go back, "terminated" when nobody says one any more. */
export async function awaitWord(
  app: NamedApp,
  { id, word, lead }: { id: string; word: "swap" | "keep"; lead: string },
  io: Io,
): Promise<void> {
  for (;;) {
    const said = await readText(wordFile(app, id));
    if (said === word || said === "keep") return;
    if (said === "back") throw new DpError("command", `${lead} has called it off: another server failed, or it ended`);
    if (await isLost(app, id)) throw new DpError("terminated", `${lead} has said nothing for ${LEASE} s`);
    await io.sleep(LOOK);
  }
}
