// Changes of an env file's text: what is not asked for stays as it is, comments and order too.
import { formatValue, settingsIn, sourceOf, type Setting } from "./env.ts";

/** What to change: name -> new value, or null to take the setting away. */
export type EnvChange = Readonly<Record<string, string | null>>;

/**
 * A .env text with the change made; new settings come last. Throws DpError "config" for a text that parseEnv
 * refuses, and for a name or value that it would refuse.
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

// "export " before it and a comment behind it stay.
function replaced(source: string, { name, start, at, to, end }: Setting, value: string): string {
  const rest = source.slice(to, end);
  const gap = rest.startsWith("#") ? " " : "";
  return source.slice(start, at) + formatValue(name, value) + gap + rest;
}
