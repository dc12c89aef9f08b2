// A promoted release in words.
import type { Promotes } from "./facts.ts";

/** `shop-staging 5-3f9c2ab`, or with its server `shop 5-3f9c2ab on staging`; null: nothing is promoted. */
export function promotedFrom(promotes: Promotes | null): string | null {
  if (promotes === null) return null;
  const { app, id, server } = promotes;
  return `${app} ${id}${server === null ? "" : ` on ${server}`}`;
}
