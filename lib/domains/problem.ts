// Why there is no certificate: the problems of ACME as sentences for an owner, with what to do.
import { isWildcard } from "../config/domain-name.ts";
import { DpError } from "../errors.ts";
import { shown } from "../text/text.ts";

/** The error of an order that failed; its `reason` is the time from which the next one is allowed, if there is one. */
export const orderError = (message: string, until: string | null = null) =>
  new DpError("command", message, until === null ? {} : { reason: until });

const AGAIN = "dp tries again by itself";
const ANSWER =
  "the CA got another answer than this server's: a proxy, a redirect or a parked page answers for the name (dp help cloudflare)";

/** The kinds of RFC 8555, 6.7. What is not here is told in the CA's own words. */
const WORDS: Readonly<Record<string, string>> = {
  badNonce: `the CA refused its own nonces several times, as a busy one does: ${AGAIN}`,
  badSignatureAlgorithm: "the CA does not take the account's kind of key",
  caa: 'a CAA record in the DNS forbids this CA: add the CA to it (Let\'s Encrypt: 0 issue "letsencrypt.org"), or remove it',
  connection: "the CA cannot reach this server by that name: open port 80 to everybody, at the hoster's firewall too",
  dns: "the CA cannot resolve the name: look at its A, AAAA and CAA records, and at DNSSEC",
  externalAccountRequired: "the CA wants an account of its own: set eab: {kid, key} in /etc/dp/tls.yml",
  incorrectResponse: ANSWER,
  invalidContact: "the CA refuses the account's mail address: set email in /etc/dp/tls.yml",
  rateLimited: `the CA takes no more orders for now: leave it alone, ${AGAIN} when it is allowed`,
  rejectedIdentifier:
    "the CA gives no certificate for this name: choose another name, or another CA in /etc/dp/tls.yml",
  serverInternal: `the CA has an error of its own: ${AGAIN}`,
  tls: "the CA cannot speak TLS with this server by that name",
  unauthorized: ANSWER,
  unsupportedContact: "the CA refuses the account's mail address: set email in /etc/dp/tls.yml",
  userActionRequired: "the CA wants its account's owner to do something first",
};

/** Words for an order by DNS challenges, where the web server has no part. */
const DNS_WORDS: Readonly<Record<string, string>> = {
  dns: "the CA cannot read the DNS of the name: is its zone at the provider of dns in /etc/dp/tls.yml?",
  unauthorized:
    "the CA did not find the record of the challenge: is the zone at the provider of dns in /etc/dp/tls.yml?",
};

const HOUR = 3_600_000;
const RETRY = /retry after (\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)/i;

/** A problem that a CA has told, for a name; `retry`: its header Retry-After, seconds or a date. */
export function problemError(
  { kind, detail }: { kind: string; detail: string },
  name: string,
  { isByDns = false, retry = null }: { isByDns?: boolean; retry?: string | null } = {},
): DpError {
  const other = isWildcard(name) ? "the CA refuses the wildcard" : "the CA refuses";
  const words = (isByDns ? DNS_WORDS[kind] : undefined) ?? WORDS[kind] ?? other;
  const until = timeIn(retry, detail) ?? (kind === "rateLimited" ? new Date(Date.now() + HOUR).toISOString() : null);
  return orderError(`${words}: ${shown(detail).slice(0, 400)} (${shown(kind).slice(0, 40)})`, until);
}

function timeIn(retry: string | null, detail: string): string | null {
  const [, day, time] = RETRY.exec(detail) ?? [];
  if (day !== undefined) return `${day}T${time}.000Z`;
  const ms = /^\d{1,7}$/.test(retry ?? "") ? Date.now() + Number(retry) * 1000 : Date.parse(retry ?? "");
  return Number.isNaN(ms) ? null : new Date(ms).toISOString();
}

const PROBLEM = /urn:ietf:params:acme:error:(\w+) :: (.*)/g;
const AWAY = /(?:dial tcp|lookup|tls|x509|net\/http|read tcp)\b.*/;

/** The last problem in lego's output, in words. */
export function failureOf(name: string, text: string, isByDns: boolean): DpError {
  // Lines of information tell of errors that were got over.
  const lines = text.split("\n").filter((line) => !line.includes("[INFO]") && line.trim() !== "");
  const [, kind, detail = ""] = [...lines.join("\n").matchAll(PROBLEM)].at(-1) ?? [];
  if (kind !== undefined) return problemError({ kind, detail }, name, { isByDns });
  if (/requires External Account Binding/.test(text)) return orderError(WORDS["externalAccountRequired"]!);
  const last = (lines.at(-1) ?? "it says nothing").replace(/^[\d/]+ [\d:]+ /, "");
  const [away] = /get directory at/.test(last) ? (AWAY.exec(last) ?? []) : [];
  if (away !== undefined) return orderError(`the CA cannot be reached, ${AGAIN}: ${shown(away).slice(0, 300)}`);
  return orderError(`lego: ${shown(last).slice(0, 400)}`);
}
