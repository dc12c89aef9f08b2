// Domain names, as config.yml and dp domains take them.
import { DpError } from "../errors.ts";
import { quoted } from "../text/text.ts";

const LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
const NAME = new RegExp(`^(?:\\*\\.)?${LABEL}(?:\\.${LABEL})+$`);
const NUMBER = /^\d+$/;

/** Whether a text is a domain name in lower case with two labels or more, or `*.` and such a name; no IP address. */
export const isDomain = (text: string): boolean =>
  text.length <= 253 && NAME.test(text) && !NUMBER.test(text.slice(text.lastIndexOf(".") + 1));

/** Whether a domain stands for all names of one label below another. */
export const isWildcard = (name: string): boolean => name.startsWith("*.");

/** The ends of names that only private networks have: no public CA gives a certificate for one. */
export const PRIVATE_ENDS = "lan, home.arpa, internal, intranet, private, corp, home, local, test".split(", ");

/** Whether a name is one of a private network, such as shop.lan. */
export const isPrivate = (name: string): boolean => PRIVATE_ENDS.some((end) => name.endsWith(`.${end}`));

// Loaded only when somebody types one: every start of dp would pay for it.
const toAscii = (name: string): string => (require("node:url") as typeof import("node:url")).domainToASCII(name);

/** A domain name as somebody typed it: in lower case, without a final dot, letters beyond ASCII as punycode. */
export function domainName(typed: string): string {
  const bare = typed.replace(/^https?:\/\//i, "").replace(/[./]$/, "");
  const isStar = bare.startsWith("*.");
  // It would cut off a path, and trim spaces.
  const ascii = /[\s/:@]/.test(bare) ? "" : toAscii(isStar ? bare.slice(2) : bare);
  const name = isStar ? `*.${ascii}` : ascii;
  if (ascii !== "" && isDomain(name)) return name;
  throw new DpError("usage", `${quoted(typed)} is not a domain such as shop.example.com`);
}

const PATH = /^(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._~-]+)+$/;

/** A domain, or a path below one. */
export interface DomainPlace {
  name: string;
  /** `/api`; missing: all of the domain. */
  path?: string;
}

/** `shop.example.com/api` apart; null for what is neither a domain nor a path below one name. */
export function placeApart(text: string): DomainPlace | null {
  const slash = text.indexOf("/");
  const name = slash < 0 ? text : text.slice(0, slash);
  if (!isDomain(name)) return null;
  if (slash < 0) return { name };
  const path = text.slice(slash);
  return isWildcard(name) || path.length > 200 || !PATH.test(path) ? null : { name, path };
}

/** A domain with its path, as people write it. */
export const fullName = ({ name, path = "" }: DomainPlace): string => name + path;

/** The domain of such a text. */
export const hostOf = (full: string): string => full.split("/", 1)[0]!;

/** A domain as somebody typed it, or a path below one. */
export function domainPlace(typed: string): string {
  const bare = typed.replace(/^https?:\/\//i, "").replace(/\/+$/, "");
  const slash = bare.indexOf("/");
  if (slash < 0) return domainName(typed);
  const full = domainName(bare.slice(0, slash)) + bare.slice(slash);
  if (placeApart(full) !== null) return full;
  throw new DpError("usage", `${quoted(typed)} is not a path below a domain, such as shop.example.com/api`);
}
