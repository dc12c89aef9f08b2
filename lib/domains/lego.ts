// Orders at a CA, by lego: a program that speaks ACME, knows the DNS providers, and ends.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseEnv } from "../config/env.ts";
import { readTls, tlsFolder, type TlsSettings } from "../config/tls.ts";
import { DpError } from "../errors.ts";
import { namesIn, readText } from "../host/files.ts";
import { program } from "../host/process/privilege.ts";
import { plainEnv, run } from "../host/run.ts";
import { root, SYSTEM_PATH } from "../paths.ts";
import { dropHalfAccounts, forgetAccount, registerAccount } from "./account.ts";
import { openFolder } from "./pair.ts";
import { failureOf, orderError } from "./problem.ts";
import { challengeFolder } from "./reach.ts";

/** A CA may let an order wait. */
const PATIENCE = 5 * 60_000;
/** lego does not send all of its requests again whose nonce was refused. */
const AGAIN = /badNonce|accountDoesNotExist/;
const TRIES = 4;

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
  await dropHalfAccounts(folder());
  await challengeFolder();
  for (let tries = 1; ; tries++) {
    try {
      await ordered(name, settings);
      break;
    } catch (error) {
      if (!(error instanceof DpError) || tries === TRIES || !AGAIN.test(error.message)) throw error;
      if (error.message.includes("accountDoesNotExist")) await forgetAccount(folder(), settings);
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
  const email = settings.email ?? (await knownEmail()) ?? `postmaster@${name.replace("*.", "")}`;
  if (settings.eab !== undefined) await registerAccount(folder(), settings, settings.eab, email);
  const argv = [
    ...[legoProgram()!, "--accept-tos", "--path", folder(), "--server", settings.directory, "--key-type", "ec256"],
    // lego wants these for such a CA even with an account; the key itself is not told.
    ...(settings.eab === undefined ? [] : ["--eab", "--kid", "registered", "--hmac", "registered"]),
    ...["--email", email, "--domains", name, ...how, "run"],
  ];
  // The CA's answers must be readable for the front, whatever umask the owner has.
  const shell = ["/bin/sh", "-c", 'umask 022; exec "$@"', "sh", ...argv];
  // It ends with dp: the next order must not meet it at the same files.
  const bound = [program("setpriv"), "--pdeathsig", "KILL", ...shell];
  const result = await run(bound, { env: await envOf(settings), check: false, quiet: true, timeout: PATIENCE });
  if (result.timedOut) throw orderError(`the CA did not answer within ${PATIENCE / 60_000} minutes`);
  if (result.code !== 0) throw failureOf(name, result.text, dns !== undefined);
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
