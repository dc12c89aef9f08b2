// HAProxy's own copies of keys and certificates: it must start whatever happens to the files of others.
import { chown, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Edge } from "../../config/tls.ts";
import { codeOf, messageOf } from "../../errors.ts";
import { namesIn, readText, removeFile, writeFileAtomic } from "../../host/files.ts";
import type { Io } from "../../host/io.ts";
import { readPair } from "../../host/pem.ts";
import { idsOf, userExists } from "../../host/users.ts";
import { copyOf, namesOf } from "./domains.ts";
import { filesOf, isService, USER } from "./places.ts";
import type { Kept } from "./routes.ts";

/** The file with the key and the certificates of a name. */
const pairOf = ({ certificates }: Edge, name: string) => join(certificates, name.replace("*", "_"), "pair.pem");

/** Copies the pair of a name, if it has changed. Throws the error of the file, or that of a bad pair. */
async function copyPair(edge: Edge, name: string): Promise<void> {
  const { key, chain } = readPair(pairOf(edge, name));
  // It may have been the relay's.
  if (isService()) await chown(pairOf(edge, name), 0, 0);
  await writeCopy(name, `${key}\n${chain}\n`);
}

async function writeCopy(name: string, text: string): Promise<void> {
  if ((await readText(copyOf(name))) === text) return;
  await mkdir(filesOf().certificates, { recursive: true, mode: 0o711 });
  const owner = isService() && userExists(USER) ? await idsOf(USER) : undefined;
  await writeFileAtomic(copyOf(name), text, 0o600, owner);
}

/** Copies the pairs of all names; a name whose pair cannot be used keeps the copy that it has. */
export async function copyPairs(kept: Kept, io: Io): Promise<void> {
  if (kept.edge === null) return;
  for (const name of namesOf(kept)) {
    try {
      await copyPair(kept.edge, name);
    } catch (error) {
      if (codeOf(error) !== "ENOENT") io.warn(`${name}: its certificate cannot be used: ${messageOf(error)}`);
    }
  }
}

/** Whether the copy of a name has the certificate of its pair; a pair that is gone, or cannot be used, has none. */
export function isCopied(edge: Edge, name: string): boolean {
  try {
    return readPair(pairOf(edge, name)).print === readPair(copyOf(name)).print;
  } catch {
    return true; // the copy serves on
  }
}

/** Does something with the new pair of a name; the former copy comes back when that fails. */
export async function withNewPair(edge: Edge, name: string, work: () => Promise<void>): Promise<void> {
  const before = await readText(copyOf(name));
  await copyPair(edge, name);
  try {
    await work();
  } catch (error) {
    await (before === null ? removeFile(copyOf(name)) : writeCopy(name, before));
    throw error;
  }
}

/** Removes the copies of names that no app has. */
export async function removeOthers(kept: Kept): Promise<void> {
  const own = new Set(kept.edge === null ? [] : namesOf(kept).map(copyOf));
  for (const file of await namesIn(filesOf().certificates)) {
    const path = join(filesOf().certificates, file);
    if (!own.has(path)) await removeFile(path);
  }
}
