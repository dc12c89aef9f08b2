// What a route keeps clients away with, as one word: a status shows it in place of the hashes.
import type { Route } from "../../contracts/front.ts";

/** A digest of the route's lists; undefined: it has none. */
export function digestOf({ allow, basicAuth }: Pick<Route, "allow" | "basicAuth">): string | undefined {
  if (allow === undefined && basicAuth === undefined) return undefined;
  const text = JSON.stringify([allow ?? null, basicAuth ?? null]);
  return new Bun.CryptoHasher("sha256").update(text).digest("hex");
}
