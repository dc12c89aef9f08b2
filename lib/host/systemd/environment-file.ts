// Variables in the format of systemd's EnvironmentFile.

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Variables as an EnvironmentFile (systemd's src/basic/env-file.c): double quotes, four escapes, newlines unescaped. */
export function systemdEnv(values: Readonly<Record<string, string>>): string {
  const lines = Object.entries(values).map(([name, value]) => {
    if (!NAME.test(name) || value.includes("\0")) throw new Error(`${JSON.stringify(name)} cannot be a variable`);
    return `${name}="${value.replace(/[\\"`$]/g, "\\$&")}"\n`;
  });
  return lines.join("");
}
