// What is told: an event with its words, and nothing in all that does not apply.
import type { Happening } from "../contracts/notifier.ts";
import { serverName } from "./text.ts";

/** A message about an app, or about the whole server without one. */
export function happening(
  event: Happening["event"],
  now: number,
  more: Pick<Happening, "head" | "key"> & Partial<Happening>,
): Happening {
  return {
    event,
    app: null,
    server: serverName(),
    time: new Date(now).toISOString(),
    lines: [],
    hint: null,
    url: null,
    run: null,
    release: null,
    step: null,
    subject: null,
    by: null,
    error: null,
    since: null,
    ...more,
  };
}
