// The key and certificates of a name, in one file: pair.pem, which a front reads. A rename replaces both at once.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { chmod, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { isWildcard } from "../config/domain-name.ts";
import { tlsFolder } from "../config/tls.ts";
import { DpError } from "../errors.ts";
import { isService } from "../host/daemon/service.ts";
import { readText, writeFileAtomic } from "../host/files.ts";
import { idsOf, userExists } from "../host/users.ts";

/** A certificate, as far as it is told. Times are ISO 8601. */
export interface Certificate {
  issuer: string;
  from: string;
  until: string;
}

/** The folder of a name: its pair and its state. */
export const folderOf = (name: string) => join(tlsFolder(), "names", name.replace("*", "_"));

/** The file with the key and the certificates of a name. */
export const pairFile = (name: string) => join(folderOf(name), "pair.pem");

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;
const KEY = /-----BEGIN ([A-Z ]*)PRIVATE KEY-----[\s\S]+?-----END \1PRIVATE KEY-----/;

/** The PEM of the certificate in use for a name; null: there is none. */
export async function firstCertificate(name: string): Promise<string | null> {
  const [first] = ((await readText(pairFile(name))) ?? "").match(CERTIFICATE) ?? [];
  return first ?? null;
}

/** The certificate in use for a name; null: there is none. */
export async function certificateOf(name: string): Promise<Certificate | null> {
  const first = await firstCertificate(name);
  return first === null ? null : told(new X509Certificate(first));
}

function told({ issuer, validFrom, validTo }: X509Certificate): Certificate {
  const part = (key: string) => new RegExp(`^${key}=(.+)$`, "m").exec(issuer)?.[1];
  const iso = (text: string) => new Date(text).toISOString();
  return { issuer: part("O") ?? part("CN") ?? "unknown", from: iso(validFrom), until: iso(validTo) };
}

/**
 * Writes a pair, both as PEM, for a name; `reader`: the system user that reads it. Throws DpError "usage" when the two do
 * not belong together, are not for the name, are out of date, or lack the certificates between them and the root.
 * `isNew`: they were not there already.
 */
export async function writePair(
  name: string,
  key: string,
  chain: string,
  reader: string | undefined,
): Promise<{ certificate: Certificate; isNew: boolean }> {
  const [secret] = KEY.exec(key) ?? [];
  const certificates = chain.match(CERTIFICATE) ?? [];
  const certificate = told(check(name, secret, certificates));
  const text = `${[secret, ...certificates].join("\n")}\n`;
  if ((await readText(pairFile(name))) === text) return { certificate, isNew: false };
  await makeFolder(name);
  const isRead = isService() && reader !== undefined && userExists(reader);
  const owner = isRead ? await idsOf(reader) : undefined;
  await writeFileAtomic(pairFile(name), text, 0o600, owner);
  return { certificate, isNew: true };
}

function check(name: string, key: string | undefined, certificates: readonly string[]): X509Certificate {
  const fail = (what: string, hint?: string) => new DpError("usage", what, hint === undefined ? {} : { hint });
  if (key === undefined) throw fail("the key is no private key in PEM, or it is encrypted");
  if (certificates[0] === undefined) throw fail("the certificate is none in PEM");
  const leaf = parsed(certificates[0]);
  if (!isOf(leaf, key)) throw fail("the key and the certificate do not belong together");
  const host = isWildcard(name) ? `x${name.slice(1)}` : name;
  if (leaf.checkHost(host) === undefined)
    throw fail(`the certificate is not for ${name}, but for ${leaf.subjectAltName ?? leaf.subject}`);
  if (Date.parse(leaf.validTo) <= Date.now()) throw fail(`the certificate has ended on ${leaf.validTo}`);
  // A public CA says where the certificate above this one is to be had: browsers do not fetch it, and would refuse.
  if (certificates.length === 1 && /CA Issuers/.test(leaf.infoAccess ?? ""))
    throw fail("the chain is missing: the file has only the certificate itself", "give the file fullchain.pem");
  return leaf;
}

function parsed(text: string): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch (cause) {
    throw new DpError("usage", "the certificate cannot be read", { cause });
  }
}

function isOf(leaf: X509Certificate, key: string): boolean {
  try {
    return leaf.checkPrivateKey(createPrivateKey(key));
  } catch (cause) {
    throw new DpError("usage", "the key cannot be read: is it encrypted?", { cause });
  }
}

/** Makes the folder of a name. Others may pass through, to the one file that is theirs. */
export async function makeFolder(name: string): Promise<void> {
  await openFolder(tlsFolder(), 0o711);
  await openFolder(join(tlsFolder(), "names"), 0o711);
  await openFolder(folderOf(name), 0o711);
}

/** Makes a folder with a mode that does not depend on the umask. */
export async function openFolder(path: string, mode: number): Promise<void> {
  await mkdir(path, { recursive: true, mode });
  await chmod(path, mode);
}

/** Removes all that is kept for a name. Safe to repeat. */
export const removeName = (name: string) => rm(folderOf(name), { recursive: true, force: true });
