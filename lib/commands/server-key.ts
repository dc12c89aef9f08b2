// `dp fleet key`: the key by which this server reaches the others of its apps.
import { mkdirSync } from "node:fs";
import { hostname } from "node:os";
import { newKeyPair } from "../access/new-key.ts";
import { readText, writeFileAtomic } from "../host/files.ts";
import { keyFile, keyFolder } from "../servers/ssh.ts";

/** The public key, as `dp keys add` takes it; the first time it is made. */
export async function serverKey(): Promise<string> {
  const there = await readText(`${keyFile()}.pub`);
  if (there !== null) return there.trim();
  const name = `dp@${hostname()}`;
  const pair = newKeyPair(name);
  const line = `${pair.public.type} ${pair.public.blob} ${name}`;
  mkdirSync(keyFolder(), { recursive: true, mode: 0o700 });
  // The private one first: a public one alone would look like a pair.
  await writeFileAtomic(keyFile(), pair.private, 0o600);
  await writeFileAtomic(`${keyFile()}.pub`, `${line}\n`, 0o644);
  return line;
}
