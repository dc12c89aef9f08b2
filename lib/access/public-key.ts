// Public ssh keys: which are accepted, and how they are named.
import { DpError } from "../errors.ts";
import { quoted } from "../text/text.ts";

/** A public key as in a .pub file, without its comment. */
export interface PublicKey {
  /** `ssh-ed25519`. */
  type: string;
  /** The key in base64. */
  blob: string;
}

const TYPES =
  /^(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521))$|^sk-(?:ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com$/;
const LEAST_RSA = 3072;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** `SHA256:…`, as ssh-keygen -l prints it. */
export function fingerprintOf({ blob }: PublicKey): string {
  const digest = new Bun.CryptoHasher("sha256").update(Buffer.from(blob, "base64")).digest("base64");
  return `SHA256:${digest.replace(/=+$/, "")}`;
}

/** The one public key of a file. Throws DpError "usage" for anything else, and never repeats a private key. */
export function publicKeyIn(text: string): PublicKey {
  if (/^-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/m.test(text) || /^PuTTY-User-Key-File/m.test(text))
    throw refused("that is a private key, which nobody but its owner may have", "give the public one, FILE.pub");
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== "" && !line.startsWith("#"));
  if (lines.length !== 1)
    throw refused(lines.length === 0 ? "there is no key" : `that is ${lines.length} keys: one at a time`);
  const [type = "", blob = ""] = lines[0]!.trim().split(/[ \t]+/);
  if (/-cert-v\d+@openssh\.com$/.test(type)) throw refused("that is a certificate: dp takes plain keys");
  if (!TYPES.test(type)) throw noType(lines[0]!, type);
  const fields = BASE64.test(blob) ? fieldsOf(Buffer.from(blob, "base64")) : null;
  if (
    fields === null ||
    fields[0]?.toString("latin1") !== type ||
    Buffer.from(blob, "base64").toString("base64") !== blob
  )
    throw refused("the key is damaged: copy the whole line of the .pub file");
  const bits = type === "ssh-rsa" ? bitsOf(fields[2] ?? Buffer.alloc(0)) : null;
  if (bits !== null && bits < LEAST_RSA)
    throw refused(`the key has ${bits} bits, and RSA needs ${LEAST_RSA}`, "ssh-keygen -t ed25519 makes a good one");
  return { type, blob };
}

function noType(line: string, type: string): DpError {
  const isBehind = line.split(/[ \t]+/).some((word) => TYPES.test(word));
  if (isBehind) return refused("there are options before the key: dp writes its own", "give the line from its type on");
  if (type === "ssh-dss") return refused("DSA keys are not safe", "ssh-keygen -t ed25519 makes a good one");
  return refused(`${quoted(type, 30)} is no type of key that dp takes`, "give the .pub file of an ssh key");
}

/** The fields of a key: each has its length in four bytes before it. Null: they do not fit. */
function fieldsOf(bytes: Buffer): Buffer[] | null {
  const fields: Buffer[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + 4 > bytes.length) return null;
    const end = at + 4 + bytes.readUInt32BE(at);
    if (end > bytes.length) return null;
    fields.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return fields.length >= 2 ? fields : null;
}

/** The length of a number in bits, without leading zeros. */
function bitsOf(number: Buffer): number {
  const first = number.findIndex((byte) => byte !== 0);
  return first < 0 ? 0 : (number.length - first) * 8 - Math.clz32(number[first]!) + 24;
}

const refused = (message: string, hint?: string) => new DpError("usage", message, hint === undefined ? {} : { hint });
