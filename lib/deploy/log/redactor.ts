// Masks secrets in printed text: the values of the env file.
import { plainText } from "../../text/text.ts";

// Words that settings share with ordinary log lines: masking them would hide nothing and spoil the log.
const COMMON =
  /^(?:[0-9.:]+|true|false|production|development|staging|testing|default|disabled|enabled|localhost|warning|verbose|critical)$/i;

/**
 * A function that makes a line of output plain text and replaces every value, or line of a value, that may be a secret
 * by ***.
 */
export function redactor(values: Readonly<Record<string, string>>): (line: string) => string {
  const secrets = new Set<string>();
  for (const value of Object.values(values)) {
    // The password in a URL is a secret without the URL around it, too.
    const password = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*?:([^/?#]+)@/i.exec(value)?.[1] ?? "";
    for (const part of [...value.split(/[\r\n]+/), password].map((text) => plainText(text).trim())) {
      if (part.length >= 6 && !COMMON.test(part)) secrets.add(part);
    }
  }
  if (secrets.size === 0) return plainText;
  const longestFirst = [...secrets].sort((a, b) => b.length - a.length).map((secret) => RegExp.escape(secret));
  const pattern = new RegExp(longestFirst.join("|"), "g");
  return (line) => plainText(line).replace(pattern, "***");
}
