// The accounts at CAs, as lego keeps them. For a CA that wants an external account (EAB) lego takes that key only as an
// argument, which every user of the server can read: dp registers this account itself, and puts it where lego finds it.
import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, sign, type KeyObject } from "node:crypto";
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { TlsSettings } from "../config/tls.ts";
import { namesIn, readText, removeFile, writeFileAtomic } from "../host/files.ts";
import { shown } from "../text/text.ts";
import { addressOf, askCa } from "./directory.ts";
import { orderError, problemError } from "./problem.ts";
import { openFolder } from "./pair.ts";

/** The problems that come from a wrong kid or key. */
const REFUSED = new Set(["unauthorized", "malformed"]);
/** A CA refuses nonces that are a little old. */
const TRIES = 10;

type Eab = NonNullable<TlsSettings["eab"]>;

/** lego's folder of the accounts at a CA. */
const accountsAt = (folder: string, directory: string) =>
  join(folder, "accounts", new URL(directory).host.replaceAll(":", "_"));

/** The CA has forgotten the account: the file that names it goes, and the next try registers one anew. */
export async function forgetAccount(folder: string, { directory }: TlsSettings): Promise<void> {
  const accounts = accountsAt(folder, directory);
  for (const email of await namesIn(accounts)) await removeFile(join(accounts, email, "account.json"));
}

/** Removes accounts of which a file is half: lego writes them in place, and refuses them for ever when it was killed. */
export async function dropHalfAccounts(folder: string): Promise<void> {
  for (const server of await namesIn(join(folder, "accounts")))
    for (const email of await namesIn(join(folder, "accounts", server))) {
      const own = join(folder, "accounts", server, email);
      if (!(await isWhole(own, email))) await rm(own, { recursive: true, force: true });
    }
}

async function isWhole(own: string, email: string): Promise<boolean> {
  try {
    createPrivateKey((await readText(join(own, "keys", `${email}.key`))) ?? "");
    JSON.parse((await readText(join(own, "account.json"))) ?? "{}");
    return true;
  } catch {
    return false;
  }
}

/** Registers an account, unless lego has it. Throws DpError "command". */
export async function registerAccount(folder: string, settings: TlsSettings, eab: Eab, email: string): Promise<void> {
  const own = join(accountsAt(folder, settings.directory), email);
  if (existsSync(join(own, "account.json"))) return;
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const url = await addressOf(settings, "newAccount");
  const nonces = await addressOf(settings, "newNonce");
  if (url === null || nonces === null) throw orderError(`${settings.directory} is no directory of a CA`);
  const payload = {
    termsOfServiceAgreed: true,
    contact: [`mailto:${email}`],
    externalAccountBinding: bindingOf(eab, url, privateKey),
  };
  const { uri, body } = await register({ settings, nonces, url, key: privateKey, payload });
  for (const path of [accountsAt(folder, settings.directory), own, join(own, "keys")]) await openFolder(path, 0o700);
  const pem = privateKey.export({ type: "sec1", format: "pem" }) as string;
  await writeFileAtomic(join(own, "keys", `${email}.key`), pem);
  // Last: with it lego takes the account as registered.
  await writeFileAtomic(join(own, "account.json"), JSON.stringify({ email, registration: { body, uri } }, null, 2));
}

const encoded = (value: string | Uint8Array) => Buffer.from(value).toString("base64url");

function publicPart(key: KeyObject): Record<string, unknown> {
  const { crv, kty, x, y } = createPublicKey(key).export({ format: "jwk" });
  return { crv, kty, x, y };
}

/** What proves to the CA that its customer has the account's key (RFC 8555, 7.3.4). */
function bindingOf({ kid, key }: Eab, url: string, account: KeyObject) {
  const head = encoded(JSON.stringify({ alg: "HS256", kid, url }));
  const payload = encoded(JSON.stringify(publicPart(account)));
  const mac = createHmac("sha256", Buffer.from(key, "base64url")).update(`${head}.${payload}`).digest("base64url");
  return { protected: head, payload, signature: mac };
}

interface Registration {
  settings: TlsSettings;
  nonces: string;
  url: string;
  key: KeyObject;
  payload: unknown;
}

async function register({ settings, nonces, url, key, payload }: Registration) {
  for (let tries = 1; ; tries++) {
    const nonce = (await askCa(settings, nonces, { method: "HEAD" })).headers.get("Replay-Nonce");
    const head = encoded(JSON.stringify({ alg: "ES256", nonce, url, jwk: publicPart(key) }));
    const text = encoded(JSON.stringify(payload));
    const signature = sign("sha256", Buffer.from(`${head}.${text}`), { key, dsaEncoding: "ieee-p1363" });
    const answer = await askCa(settings, url, {
      method: "POST",
      headers: { "Content-Type": "application/jose+json" },
      body: JSON.stringify({ protected: head, payload: text, signature: encoded(signature) }),
    });
    const body = (await answer.json().catch(() => ({}))) as Record<string, unknown>;
    const uri = answer.headers.get("Location");
    if (answer.ok && uri !== null) return { uri, body };
    const kind = String(body["type"] ?? "").replace("urn:ietf:params:acme:error:", "");
    if (kind === "badNonce" && tries < TRIES) continue;
    const detail = String(body["detail"] ?? `status ${answer.status}`);
    if (REFUSED.has(kind)) throw orderError(`the CA refuses eab of /etc/dp/tls.yml: ${shown(detail).slice(0, 300)}`);
    throw problemError({ kind, detail }, "", { retry: answer.headers.get("Retry-After") });
  }
}
