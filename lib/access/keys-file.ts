// keys.json: who may log in as dp, with which keys, for which apps, in which role. It is the truth.
import * as v from "valibot";
import { DpError } from "../errors.ts";
import { readText } from "../host/files.ts";
import { isAppName } from "../paths.ts";
import { keysFile } from "./places.ts";
import { GRANTED, type Granted } from "./role.ts";

const name = v.pipe(v.string(), v.check(isAppName));
const key = v.strictObject({
  /** `ssh-ed25519`, and the key in base64. */
  type: v.pipe(v.string(), v.regex(/^[a-z0-9@.-]+$/)),
  blob: v.pipe(v.string(), v.regex(/^[A-Za-z0-9+/]+={0,2}$/)),
  /** When, ISO 8601, and by whom. */
  added: v.string(),
  by: v.string(),
});
const grant = v.strictObject({ app: name, role: v.picklist(GRANTED) });
const holder = v.strictObject({ name, apps: v.array(grant), keys: v.array(key) });
const file = v.strictObject({ version: v.literal(1), holders: v.array(holder) });

/** Somebody, or a CI, with one key or more. */
export type Holder = v.InferOutput<typeof holder>;
export type HeldKey = v.InferOutput<typeof key>;

/** Everybody with a key, sorted by name. Throws DpError "host" when the file is damaged. */
export async function holders(): Promise<Holder[]> {
  const text = await readText(keysFile());
  if (text === null) return [];
  try {
    return v.parse(file, JSON.parse(text)).holders;
  } catch (cause) {
    throw new DpError("host", `${keysFile()} is damaged, so no key is let in`, {
      hint: `bring it back from a backup, or: mv ${keysFile()} ${keysFile()}.old, and add the keys again`,
      reason: "damaged",
      cause,
    });
  }
}

/** The text of keys.json for these holders. */
export const keysText = (all: readonly Holder[]) => `${JSON.stringify({ version: 1, holders: all }, null, 2)}\n`;

/** What a holder has for an app; null: nothing. */
export const roleOn = ({ apps }: Holder, app: string): Granted | null =>
  apps.find((each) => each.app === app)?.role ?? null;
