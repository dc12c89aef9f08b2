// The certificates of the swarm's registry, by openssl: an authority of its own, the registry's, and the nodes'.
import { X509Certificate } from "node:crypto";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { readText, syncFolder } from "../../host/files.ts";
import { run } from "../../host/run.ts";

/** Ten years: only the servers of one swarm know them. */
const DAYS = "3650";
/** How long before their end they are renewed by an invitation, and named by dp doctor, in ms. */
const LATE = 90 * 24 * 3_600_000;
const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** Whether a certificate has ended, or will soon. */
export const isEnding = ({ validTo }: X509Certificate) => Date.parse(validTo) < Date.now() + LATE;

/**
 * Makes them in a folder, for a registry at that IP address, all or none: once, and again when their end is near. Answers
 * whether it made some: no server may use earlier ones any more.
 */
export async function makeCertificates(folder: string, address: string): Promise<boolean> {
  const own = await readCertificate(join(folder, "registry.crt"));
  if (own !== null && !isEnding(own)) return false;
  await mkdir(dirname(folder), { recursive: true, mode: 0o700 });
  const made = await mkdtemp(`${folder}.`);
  try {
    const at = (name: string) => join(made, name);
    const openssl = (...words: string[]) => run(["openssl", ...words], { cwd: made });
    const ca = ["-keyout", at("ca.key"), "-out", at("ca.crt"), "-subj", "/CN=dp registry authority"];
    await openssl("req", "-x509", ...KEY, ...ca, "-days", DAYS);
    for (const [name, extensions] of [
      ["registry", `subjectAltName=IP:${address}\nextendedKeyUsage=serverAuth\n`],
      ["node", "extendedKeyUsage=clientAuth\n"],
    ] as const) {
      await writeFile(at("extensions"), extensions);
      await openssl("req", ...KEY, "-keyout", at(`${name}.key`), "-out", at("request"), "-subj", `/CN=dp ${name}`);
      const signer = ["-CA", at("ca.crt"), "-CAkey", at("ca.key"), "-CAcreateserial", "-extfile", at("extensions")];
      await openssl("x509", "-req", "-in", at("request"), ...signer, "-days", DAYS, "-out", at(`${name}.crt`));
    }
    // Nobody signs another one.
    for (const name of ["ca.key", "ca.srl", "request", "extensions"]) await rm(at(name), { force: true });
    await rm(folder, { recursive: true, force: true });
    await rename(made, folder);
    await syncFolder(dirname(folder));
    return true;
  } finally {
    await rm(made, { recursive: true, force: true });
  }
}

/** A certificate of a file, or null when there is none. */
export async function readCertificate(file: string): Promise<X509Certificate | null> {
  const text = await readText(file);
  try {
    return text === null ? null : new X509Certificate(text);
  } catch {
    return null;
  }
}
