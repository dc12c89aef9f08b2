// `setup.json` in an app's folder: which dp set it up last.
import { join } from "node:path";
import { readText, writeFileAtomic } from "../host/files.ts";
import { version } from "../host/version.ts";
import type { NamedApp } from "../contracts/app.ts";

const recordOf = ({ places }: NamedApp) => join(places.base, "setup.json");

/** Notes that this dp has set an app up. */
export async function recordSetup(app: NamedApp): Promise<void> {
  if ((await setUpBy(app)) !== version) await writeFileAtomic(recordOf(app), `${JSON.stringify({ version })}\n`, 0o600);
}

/** The version of the dp that has set an app up; null: one that did not note it, or the note is damaged. */
export async function setUpBy(app: NamedApp): Promise<string | null> {
  const text = await readText(recordOf(app));
  try {
    const { version } = JSON.parse(text ?? "{}") as { version?: unknown };
    return typeof version === "string" && /^\d+(\.\d+)*$/.test(version) ? version : null;
  } catch {
    return null;
  }
}
