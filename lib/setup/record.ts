// `setup.json` in an app's folder: the version of dp that last set it up.
import { join } from "node:path";
import { readText, writeFileAtomic } from "../host/files.ts";
import { version } from "../host/version.ts";
import type { NamedApp } from "../contracts/app.ts";

const recordOf = ({ places }: NamedApp) => join(places.base, "setup.json");

/** Notes that this dp has set the app up. */
export async function recordSetup(app: NamedApp): Promise<void> {
  if ((await setUpBy(app)) !== version) await writeFileAtomic(recordOf(app), `${JSON.stringify({ version })}\n`, 0o600);
}

/** The version of dp that set the app up; null: an older dp without this note, or the note is damaged. */
export async function setUpBy(app: NamedApp): Promise<string | null> {
  const text = await readText(recordOf(app));
  try {
    const { version } = JSON.parse(text ?? "{}") as { version?: unknown };
    return typeof version === "string" && /^\d+(\.\d+)*$/.test(version) ? version : null;
  } catch {
    return null;
  }
}
