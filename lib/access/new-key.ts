// A new pair of keys, in memory alone: the private one is shown once, and never lies on the disk.
import { generateKeyPairSync, randomBytes } from "node:crypto";
import type { PublicKey } from "./public-key.ts";

export interface KeyPair {
  public: PublicKey;
  /** In the form of OpenSSH, with its last line end. */
  private: string;
}

const TYPE = "ssh-ed25519";
const BLOCK = 8;
const WIDTH = 70;

/** Makes an ed25519 pair; the private key carries the name as its comment. */
export function newKeyPair(name: string): KeyPair {
  const { privateKey } = generateKeyPairSync("ed25519");
  const { d = "", x = "" } = privateKey.export({ format: "jwk" });
  const [seed, point] = [Buffer.from(d, "base64url"), Buffer.from(x, "base64url")];
  const publicKey = Buffer.concat([field(TYPE), field(point)]);
  const check = randomBytes(4);
  const secret = Buffer.concat([check, check, publicKey, field(Buffer.concat([seed, point])), field(name)]);
  const padding = Buffer.from(Array.from({ length: (BLOCK - (secret.length % BLOCK)) % BLOCK }, (_, at) => at + 1));
  // No cipher, no passphrase: one key.
  const head = [Buffer.from("openssh-key-v1\0"), field("none"), field("none"), field(""), number(1)];
  const all = Buffer.concat([...head, field(publicKey), field(Buffer.concat([secret, padding]))]);
  const lines = all.toString("base64").match(new RegExp(`.{1,${WIDTH}}`, "g"))!;
  const text = ["-----BEGIN OPENSSH PRIVATE KEY-----", ...lines, "-----END OPENSSH PRIVATE KEY-----", ""].join("\n");
  return { public: { type: TYPE, blob: publicKey.toString("base64") }, private: text };
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

const field = (value: string | Buffer) => Buffer.concat([number(Buffer.from(value).length), Buffer.from(value)]);
