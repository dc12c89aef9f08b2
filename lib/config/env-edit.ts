// Changes to an env file's text: everything else stays as it is, with comments and order.
import { formatValue, settingsIn, sourceOf, type Setting } from "./env.ts";

/** The changes: name -> new value, or null to remove the setting. */
export type EnvChange = Readonly<Record<string, string | null>>;

/**
 * A .env text with the changes; new settings come last. Throws DpError "config" for a text, name or value that parseEnv
 * refuses.
 */
export function editEnv(text: string, change: EnvChange, file: string): string {
  const source = sourceOf(text);
  const known = settingsIn(source, file);
  let edited = "";
  let done = 0;
  for (const setting of known) {
    const value = change[setting.name];
    if (value === undefined || value === setting.value) continue;
    edited += source.slice(done, setting.start) + (value === null ? "" : replaced(source, setting, value));
    done = setting.end;
  }
  edited += source.slice(done);
  const added = Object.entries(change).filter(([name, value]) => value !== null && !known.some((s) => s.name === name));
  if (added.length > 0 && edited !== "" && !edited.endsWith("\n")) edited += "\n";
  return edited + added.map(([name, value]) => `${name}=${formatValue(name, value!)}\n`).join("");
}

// A leading "export " and a trailing comment stay.
function replaced(source: string, { name, start, at, to, end }: Setting, value: string): string {
  const rest = source.slice(to, end);
  const gap = rest.startsWith("#") ? " " : "";
  return source.slice(start, at) + formatValue(name, value) + gap + rest;
}
