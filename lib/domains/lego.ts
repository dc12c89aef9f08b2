// Orders at a CA, by lego: a program that speaks ACME, knows the DNS providers, and ends.
import { createPrivateKey } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, readFile, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { isWildcard } from "../config/domain-name.ts";
import { parseEnv } from "../config/env.ts";
import { readTls, tlsFolder, type TlsSettings } from "../config/tls.ts";
import { DpError } from "../errors.ts";
import { namesIn, readText, removeFile } from "../host/files.ts";
import { program } from "../host/process/privilege.ts";
import { plainEnv, run } from "../host/run.ts";
import { root, SYSTEM_PATH } from "../paths.ts";
import { shown } from "../text/text.ts";
import { openFolder } from "./pair.ts";
import { challengeFolder } from "./reach.ts";

/** A CA may let an order wait. */
const PATIENCE = 5 * 60_000;
/** lego does not send all of its requests again whose nonce was refused. */
const AGAIN = /badNonce|accountDoesNotExist/;
const TRIES = 4;

/** The error of an order that failed; its `reason` is the time from which the next one is allowed, if there is one. */
export const orderError = (message: string, until: string | null = null) =>
  new DpError("command", message, until === null ? {} : { reason: until });

const folder = () => join(tlsFolder(), "lego");

/** The program lego; null: it is not installed. */
export const legoProgram = () => Bun.which("lego", { PATH: root() === "" ? SYSTEM_PATH : (process.env["PATH"] ?? "") });

/** Throws DpError "host" when there is no lego. */
export function requireLego(): void {
  if (legoProgram() === null)
    throw new DpError("host", "lego is not installed: dp orders certificates by it", {
      hint: "apt-get install lego, or give a certificate of your own: dp domains APP cert NAME --cert FILE --key FILE",
    });
}

/** Orders a certificate for a name; answers key and chain as PEM. Throws DpError "command" or "host". */
export async function order(name: string): Promise<{ key: string; chain: string }> {
  requireLego();
  const settings = await readTls();
  await openFolder(folder(), 0o700);
  await dropHalfAccounts();
  await challengeFolder();
  for (let tries = 1; ; tries++) {
    try {
      await ordered(name, settings);
      break;
    } catch (error) {
      if (!(error instanceof DpError) || tries === TRIES || !AGAIN.test(error.message)) throw error;
      // The CA has forgotten the account: the same key is registered again.
      if (error.message.includes("accountDoesNotExist")) await forgetAccounts();
    }
  }
  const file = join(folder(), "certificates", name.replace("*", "_"));
  return { key: await readFile(`${file}.key`, "utf8"), chain: await readFile(`${file}.crt`, "utf8") };
}

async function ordered(name: string, settings: TlsSettings): Promise<void> {
  const { dns } = settings;
  const how =
    dns === undefined
      ? ["--http", "--http.webroot", join(tlsFolder(), "challenges")]
      : dnsWords(dns, settings.resolver);
  const { eab } = settings;
  const argv = [
    ...[legoProgram()!, "--accept-tos", "--path", folder(), "--server", settings.directory, "--key-type", "ec256"],
    ...["--email", settings.email ?? (await knownEmail()) ?? `postmaster@${name.replace("*.", "")}`],
    // Other users of this server can read arguments: the key is named only while it is needed.
    ...(eab === undefined || (await isRegistered()) ? [] : ["--eab", "--kid", eab.kid, "--hmac", eab.key]),
    ...["--domains", name, ...how, "run"],
  ];
  // The CA's answers must be readable for the front, whatever umask the owner has.
  const shell = ["/bin/sh", "-c", 'umask 022; exec "$@"', "sh", ...argv];
  // It ends with dp: the next order must not meet it at the same files.
  const bound = [program("setpriv"), "--pdeathsig", "KILL", ...shell];
  const result = await run(bound, { env: await envOf(settings), check: false, quiet: true, timeout: PATIENCE });
  if (result.timedOut) throw orderError(`the CA did not answer within ${PATIENCE / 60_000} minutes`);
  if (result.code !== 0) throw failureOf(name, result.text);
}

const dnsWords = (
  { provider, propagation }: NonNullable<TlsSettings["dns"]>,
  resolver: string | undefined,
): string[] => [
  ...["--dns", provider],
  ...(resolver === undefined ? [] : ["--dns.resolvers", resolver]),
  ...(propagation ? [] : ["--dns.disable-cp"]),
];

async function envOf({ directoryCa, dns }: TlsSettings): Promise<Record<string, string>> {
  const env = plainEnv();
  if (directoryCa !== undefined) env["LEGO_CA_CERTIFICATES"] = directoryCa;
  const text = dns?.env === undefined ? null : await readText(dns.env);
  if (dns?.env !== undefined && text === null) throw orderError(`${dns.env} does not exist`);
  return { ...env, ...parseEnv(text ?? "", dns?.env ?? "") };
}

/** The address of the account that lego has already. */
async function knownEmail(): Promise<string | undefined> {
  for (const server of await namesIn(join(folder(), "accounts"))) {
    const [email] = await readdir(join(folder(), "accounts", server));
    if (email !== undefined) return email;
  }
  return undefined;
}

/** The files that name the account at a CA; the key is kept beside each. */
async function accountFiles(): Promise<string[]> {
  const accounts = join(folder(), "accounts");
  const files: string[] = [];
  for (const server of await namesIn(accounts))
    for (const email of await namesIn(join(accounts, server)))
      files.push(join(accounts, server, email, "account.json"));
  return files;
}

const isRegistered = async (): Promise<boolean> => (await accountFiles()).some((file) => existsSync(file));

async function forgetAccounts(): Promise<void> {
  for (const file of await accountFiles()) await removeFile(file);
}

/** Removes accounts of which a file is half: lego writes them in place, and refuses them for ever when it was killed. */
async function dropHalfAccounts(): Promise<void> {
  for (const file of await accountFiles())
    if (!(await isWhole(file))) await rm(dirname(file), { recursive: true, force: true });
}

async function isWhole(file: string): Promise<boolean> {
  const key = await readText(join(dirname(file), "keys", `${basename(dirname(file))}.key`));
  try {
    createPrivateKey(key ?? "");
    JSON.parse((await readText(file)) ?? "{}");
    return true;
  } catch {
    return false;
  }
}

const PROBLEM = /urn:ietf:params:acme:error:(\w+) :: (.*)/g;
const RETRY = /retry after (\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)/i;

const WORDS: Readonly<Record<string, string>> = {
  caa: "a CAA record in the DNS forbids this CA",
  connection: "the CA cannot reach this server by that name",
  dns: "the CA cannot resolve the name",
  externalAccountRequired: "the CA wants eab: {kid, key} in /etc/dp/tls.yml",
  rateLimited: "the CA takes no more orders for now",
  rejectedIdentifier: "the CA gives no certificate for this name",
  unauthorized: "the CA got another answer than this server's",
};

/** The last problem in lego's output, in words. */
function failureOf(name: string, text: string): DpError {
  // Lines of information tell of errors that were got over.
  const lines = text.split("\n").filter((line) => !line.includes("[INFO]") && line.trim() !== "");
  const [, kind = "", detail = ""] = [...lines.join("\n").matchAll(PROBLEM)].at(-1) ?? [];
  const last = (lines.at(-1) ?? "it says nothing").replace(/^[\d/]+ [\d:]+ /, "");
  if (kind === "") return orderError(`lego: ${shown(last).slice(0, 400)}`);
  const [, day, time] = RETRY.exec(detail) ?? [];
  const until = day === undefined ? null : `${day}T${time}.000Z`;
  const words = WORDS[kind] ?? (isWildcard(name) ? "the CA refuses the wildcard" : "the CA refuses");
  return orderError(`${words}: ${shown(detail).slice(0, 400)} (${kind})`, until);
}
