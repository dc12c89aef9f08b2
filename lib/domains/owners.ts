// Which app has which domain.
import { appNames, readServer } from "../config/server.ts";
import { DpError } from "../errors.ts";
import { places } from "../paths.ts";

/** Domain -> its app, for all apps of this server whose config.yml can be read. */
export async function owners(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const app of await appNames()) {
    try {
      for (const { name } of (await readServer(places(app))).domains) found.set(name, app);
    } catch (error) {
      if (!(error instanceof DpError)) throw error; // its own check reports it
    }
  }
  return found;
}
