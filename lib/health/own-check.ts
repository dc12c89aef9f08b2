// dp's own requests through the public port: a front that keeps clients away lets them pass, by a word that dp alone
// knows.
import { link } from "node:fs/promises";
import type { HealthCheck } from "../config/types.ts";
import type { App, NamedApp } from "../contracts/app.ts";
import { codeOf, DpError } from "../errors.ts";
import { ownText, readText, removeFile, syncFolder, writeFileAtomic } from "../host/files.ts";
import { listenerUids } from "../host/process/listener.ts";
import { listenerUid, tellsOwners } from "../host/process/socket-owner.ts";
import { publicAddress } from "../paths.ts";

/** The header with the word. The front takes it out: the app never sees it. */
export const HEADER = "X-Dp-Check";

type Place = Pick<NamedApp, "places">;

const fileOf = ({ places }: Place) => `${places.base}/check.key`;

/** SHA-256 of the word, in hex, as the front gets it. The word is made when there is none. */
export async function passOf(app: Place): Promise<string> {
  const word = (await readText(fileOf(app))) ?? (await makeWord(app));
  return new Bun.CryptoHasher("sha256").update(word).digest("hex");
}

// Two may make it at the same moment: the first one counts, for both.
async function makeWord(app: Place): Promise<string> {
  const file = fileOf(app);
  const fresh = `${file}.tmp.${process.pid}`;
  await writeFileAtomic(fresh, Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex"), 0o600);
  try {
    await link(fresh, file);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  } finally {
    await removeFile(fresh);
  }
  await syncFolder(app.places.base);
  const word = await readText(file);
  if (word === null) throw new DpError("host", `${file} is gone again`, { hint: "type the command once more" });
  return word;
}

type Public = Pick<App, "front" | "server">;

/**
 * The health check of an app as dp asks it through the public port, for one request: somebody else may hold the port at
 * the next one, and must not get the word.
 */
export async function ownCheck(app: Place & Public, check: HealthCheck): Promise<HealthCheck> {
  if (app.front.maintain === undefined || !isFronts(app)) return check;
  const word = ownText(fileOf(app));
  return word === null ? check : { ...check, headers: { ...check.headers, [HEADER]: word } };
}

/** Whether the front's user listens on the app's public port. While the front is down any user may bind most ports. */
function isFronts({ front, server }: Public): boolean {
  const uid = front.socketUid?.() ?? null;
  if (uid === null) return false;
  if (tellsOwners()) return listenerUid(publicAddress(server), server.port) === uid;
  const uids = listenerUids(server.port);
  return uids.size === 1 && uids.has(uid);
}
