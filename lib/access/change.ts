// Changes of keys.json, one at a time, with authorized_keys after it.
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { readText, writeFileAtomic } from "../host/files.ts";
import { waitForLock } from "../host/lock.ts";
import { authorizedKeys } from "./authorized-keys.ts";
import { holders, keysText, type Holder } from "./keys-file.ts";
import { authorizedKeysFile, keysFile } from "./places.ts";

/** Changes who has keys; `change` gets everybody and may alter them. Answers what it answers. */
export async function changeHolders<T>(change: (all: Holder[]) => T): Promise<T> {
  await mkdir(dirname(keysFile()), { recursive: true, mode: 0o755 });
  const nothing = () => undefined;
  const lock = await waitForLock(`${keysFile()}.lock`, nothing, nothing);
  try {
    const all = await holders();
    const before = keysText(all);
    const answer = change(all);
    const kept = all.filter(({ keys }) => keys.length > 0).sort((a, b) => (a.name < b.name ? -1 : 1));
    // In this order: whoever is let in by authorized_keys is refused by the gate until keys.json has the name.
    if (keysText(kept) !== before) await writeFileAtomic(keysFile(), keysText(kept), 0o600);
    await writeAuthorizedKeys(kept);
    return answer;
  } finally {
    lock.release();
  }
}

/** Writes authorized_keys as keys.json wants it, unless it is so. It is root's, and sshd reads it as dp. */
export async function writeAuthorizedKeys(all: readonly Holder[]): Promise<void> {
  const path = authorizedKeysFile();
  const text = authorizedKeys(all);
  if ((await readText(path)) === text) return;
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  await writeFileAtomic(path, text, 0o644);
}
