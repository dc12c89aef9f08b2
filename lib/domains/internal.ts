// dp's own CA, for names of private networks: its root, and the certificates that it signs. openssl makes them.
import { X509Certificate } from "node:crypto";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { PRIVATE_ENDS } from "../config/domain-name.ts";
import { tlsFolder } from "../config/tls.ts";
import { DpError } from "../errors.ts";
import { readText, syncFolder, writeFileAtomic } from "../host/files.ts";
import { plainEnv, run } from "../host/run.ts";
import { root as rootFolder, SYSTEM_PATH } from "../paths.ts";
import { shown } from "../text/text.ts";
import { openFolder } from "./pair.ts";

const DAY = 24 * 3_600_000;
const ROOT_DAYS = 3650;
const LEAF_DAYS = 90;

/** The folder of the CA, for dp alone. It is no part of an app, and no backup of one has it. */
export const caFolder = () => join(tlsFolder(), "ca");

/** The root, as it is told. Times are ISO 8601. */
export interface Root {
  /** PEM. */
  certificate: string;
  /** SHA-256, as browsers show it. */
  fingerprint: string;
  from: string;
  until: string;
  /** The ends of the names that it can vouch for. */
  names: readonly string[];
}

/** The program openssl; null: it is not installed. */
export const opensslProgram = () =>
  Bun.which("openssl", { PATH: rootFolder() === "" ? SYSTEM_PATH : (process.env["PATH"] ?? "") });

/** Throws DpError "host" when there is no openssl. */
export function requireOpenssl(): void {
  if (opensslProgram() === null)
    throw new DpError("host", "openssl is not installed: dp's own CA works by it", { hint: "apt-get install openssl" });
}

/** The root of the CA; null: nothing has needed it yet. Throws DpError "host" for a damaged one. */
export async function caRoot(): Promise<Root | null> {
  const certificate = await readText(join(caFolder(), "root.pem"));
  if (certificate === null) return null;
  try {
    const { fingerprint256, validFrom, validTo } = new X509Certificate(certificate);
    const [from, until] = [validFrom, validTo].map((time) => new Date(time).toISOString()) as [string, string];
    return { certificate: certificate.trim(), fingerprint: fingerprint256, from, until, names: PRIVATE_ENDS };
  } catch (cause) {
    throw new DpError("host", `${caFolder()}/root.pem is damaged`, { hint: ANEW, cause });
  }
}

const ANEW = "how to make a new CA: dp help certificates";

/** Makes a key and a certificate for a name, and at first the CA. Throws DpError "command" or "host". */
export async function issue(name: string): Promise<{ key: string; chain: string }> {
  requireOpenssl();
  const left = Date.parse((await requireRoot()).until) - Date.now();
  if (left < DAY) throw new DpError("command", "the root of dp's own CA has ended", { hint: ANEW });
  // What a killed run has left goes: keys lie here only while openssl works.
  const work = join(caFolder(), "work");
  await rm(work, { recursive: true, force: true });
  await openFolder(work, 0o700);
  try {
    return await signed(work, name, Math.min(LEAF_DAYS, Math.floor(left / DAY)));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

const REQUEST = ["[req]", "prompt = no", "distinguished_name = dn", "[dn]"];

async function signed(work: string, name: string, days: number): Promise<{ key: string; chain: string }> {
  const [key, request, made] = ["key.pem", "request.pem", "made.pem"].map((file) => join(work, file));
  const conf = await write(work, "conf", [...REQUEST, "O = dp"]);
  const extensions = await write(work, "extensions", [
    ...["basicConstraints = critical, CA:FALSE", "keyUsage = critical, digitalSignature"],
    ...["extendedKeyUsage = serverAuth", `subjectAltName = DNS:${name}`],
    ...["subjectKeyIdentifier = hash", "authorityKeyIdentifier = keyid"],
  ]);
  await openssl("req", "-new", ...NEW_KEY, "-keyout", key!, "-config", conf, "-out", request!);
  const serial = `0x01${Buffer.from(crypto.getRandomValues(new Uint8Array(15))).toString("hex")}`;
  const by = ["-CA", join(caFolder(), "root.pem"), "-CAkey", join(caFolder(), "key.pem"), "-set_serial", serial];
  const how = ["-sha256", "-days", `${days}`, "-extfile", extensions, "-out", made!];
  await openssl("x509", "-req", "-in", request!, ...by, ...how);
  return { key: await readFile(key!, "utf8"), chain: await readFile(made!, "utf8") };
}

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

async function requireRoot(): Promise<Root> {
  const there = await caRoot();
  if (there !== null) return there;
  await makeCa();
  return (await caRoot())!;
}

/** Makes key and root in a folder of their own, which is renamed when both are on the disk. */
async function makeCa(): Promise<void> {
  const folder = `${caFolder()}.new`;
  await rm(folder, { recursive: true, force: true });
  await openFolder(folder, 0o700);
  const conf = await write(folder, "conf", rootConf());
  const [key, certificate] = [join(folder, "key.pem"), join(folder, "root.pem")];
  const out = ["-keyout", key, "-out", certificate];
  await openssl("req", "-x509", ...NEW_KEY, "-sha256", "-days", `${ROOT_DAYS}`, "-config", conf, ...out);
  await rm(conf);
  for (const file of [key, certificate]) await writeFileAtomic(file, await readFile(file, "utf8"));
  await rename(folder, caFolder());
  await syncFolder(tlsFolder());
}

/** Who steals the key can vouch for names of private networks, and for no other name, address or mail. */
function rootConf(): string[] {
  const host = hostname()
    .replace(/[^\w.-]/g, "")
    .slice(0, 40);
  const permitted = PRIVATE_ENDS.map((end, at) => `permitted;DNS.${at} = ${end}`);
  return [
    ...REQUEST.slice(0, 3),
    ...["x509_extensions = ca", "[dn]", "O = dp CA", `CN = dp CA on ${host} ${new Date().toISOString().slice(0, 10)}`],
    ...["[ca]", "basicConstraints = critical, CA:TRUE, pathlen:0", "keyUsage = critical, keyCertSign, cRLSign"],
    ...["subjectKeyIdentifier = hash", "extendedKeyUsage = serverAuth", "nameConstraints = critical, @only"],
    ...["[only]", ...permitted, "permitted;email = .invalid"],
    ...["excluded;IP.0 = 0.0.0.0/0.0.0.0", "excluded;IP.1 = 0:0:0:0:0:0:0:0/0:0:0:0:0:0:0:0"],
  ];
}

async function write(folder: string, name: string, lines: readonly string[]): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, `${lines.join("\n")}\n`, { mode: 0o600 });
  return path;
}

/** Runs openssl; what it writes is for dp alone. Throws DpError "command" with what it says. */
async function openssl(...words: string[]): Promise<void> {
  const shell = ["/bin/sh", "-c", 'umask 077; exec "$@"', "sh", opensslProgram()!, ...words];
  const { code, text } = await run(shell, { env: plainEnv(), check: false, quiet: true });
  if (code === 0) return;
  const why = text.split("\n").find((line) => /^(?!-|\.|\+)\S/.test(line)) ?? "it says nothing";
  throw new DpError("command", `dp's own CA: openssl: ${shown(why).slice(0, 200)}`, { hint: ANEW });
}
