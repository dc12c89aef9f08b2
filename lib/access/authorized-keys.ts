// authorized_keys, made from keys.json: each key may do one thing, which is to come to the gate under its own name.
import type { Holder } from "./keys-file.ts";
import { fingerprintOf } from "./public-key.ts";
import { isEnough } from "./role.ts";

const HEAD = "# written by dp from keys.json: dp keys changes it\n";

/** The whole file. A key gets a terminal when its holder may type commands of the app. */
export function authorizedKeys(all: readonly Holder[]): string {
  const lines = all.flatMap(({ name, apps, keys }) => {
    const terminal = apps.some(({ role }) => isEnough(role, "operate")) ? "pty," : "";
    const options = (print: string) => `restrict,${terminal}command="${name} ${print}"`;
    return keys.map((key) => `${options(fingerprintOf(key))} ${key.type} ${key.blob} ${name}\n`);
  });
  return HEAD + lines.join("");
}
