// Files with a private key and the certificates that belong to it, as PEM.
import { readFileSync } from "node:fs";

/** A key and its certificates. `print` is the SHA-1 of the first one, in upper case without colons. */
export interface Pair {
  key: string;
  chain: string;
  print: string;
}

const BLOCK = /-----BEGIN ([A-Z ]+)-----[\s\S]+?-----END \1-----/g;

/** The pair in a file. Throws the system's error, or Error when the file has no pair whose parts belong together. */
export function readPair(path: string): Pair {
  const blocks = [...readFileSync(path, "latin1").matchAll(BLOCK)];
  const key = blocks.find(([, kind]) => kind!.endsWith("PRIVATE KEY"))?.[0] ?? "";
  const chain = blocks.filter(([, kind]) => kind === "CERTIFICATE").map(([text]) => text);
  // Loaded here: the relay, which starts after a boot, has this file too, and most relays have no domains.
  const { createPrivateKey, X509Certificate } = process.getBuiltinModule("node:crypto");
  const leaf = new X509Certificate(chain[0] ?? "");
  if (!leaf.checkPrivateKey(createPrivateKey(key))) throw new Error("its key belongs to another certificate");
  return { key, chain: chain.join("\n"), print: leaf.fingerprint.replaceAll(":", "") };
}
