// An app by its name alone: where it is, and which of its releases is live.
import type { NamedApp } from "../contracts/app.ts";
import { target } from "../host/link.ts";
import { isAppName, places } from "../paths.ts";
import { idOf } from "../text/ids.ts";

/** The app of that name, whether it was set up or not. Throws DpError "usage" for what cannot be a name. */
export function namedApp(name: string): NamedApp {
  const own = places(name);
  return {
    name,
    places: own,
    live: async () => idOf(await target(own.current)),
    previous: async () => idOf(await target(own.previous)),
  };
}

/** The same; null for what cannot be a name. */
export const appNamed = (name: string): NamedApp | null => (isAppName(name) ? namedApp(name) : null);
