// `dp audit`: who changed what, when, and with what outcome; it includes apps that are gone.
import { auditFiles, type AuditLine } from "../host/audit.ts";
import { codeOf, DpError } from "../errors.ts";
import { readText } from "../host/files.ts";
import { appName } from "../paths.ts";
import { appNames, noSuchApp } from "../config/server.ts";
import { table, when } from "../text/table.ts";

export interface AuditOptions {
  /** How many lines to show, counted from the end. */
  lines: number;
  /** Only lines since then, in ms since 1970. */
  since?: number;
}

/**
 * The lines of one app or of all, oldest first; `warn` gets a message for each line that cannot be read. Throws DpError
 * "usage" for an app that neither exists nor appears in the log.
 */
export async function auditLines(
  app: string | undefined,
  { lines, since = 0 }: AuditOptions,
  warn: (message: string) => void,
): Promise<AuditLine[]> {
  const name = app === undefined ? undefined : appName(app);
  const found: AuditLine[] = [];
  const there = await appNames();
  const apps = new Set(there);
  let damaged = 0;
  for (const file of auditFiles()) {
    for (const text of (await textOf(file)).split("\n").filter(Boolean)) {
      const line = parse(text);
      if (!line) damaged += 1;
      else apps.add(line.app);
      if (line && (name === undefined || line.app === name) && Date.parse(line.time) >= since) found.push(line);
    }
  }
  if (name !== undefined && !apps.has(name)) throw noSuchApp(name, there, [...apps]);
  if (damaged > 0) warn(`${damaged} lines of the audit log cannot be read`);
  return lines > 0 ? found.slice(-lines) : [];
}

async function textOf(file: string): Promise<string> {
  try {
    return (await readText(file)) ?? "";
  } catch (cause) {
    if (codeOf(cause) !== "EACCES") throw cause;
    throw new DpError("host", `${file}: permission denied`, { hint: "sudo dp audit", cause });
  }
}

function parse(text: string): AuditLine | null {
  try {
    const line = JSON.parse(text) as AuditLine;
    return typeof line.time === "string" && typeof line.app === "string" ? line : null;
  } catch {
    return null; // A full disk cut this line off
  }
}

/** The same for people. */
export function auditTable(lines: readonly AuditLine[]): string[] {
  if (lines.length === 0) return ["nothing yet"];
  return table(
    ["WHEN", "APP", "WHAT", "RUN", "BY", "RESULT"],
    lines.map(({ time, app, what, detail, run, by, result, code, step }) => {
      const how = code === 0 ? result : `${result}${step ? ` at ${step}` : ""} (${code})`;
      return [when(time), app, detail ? `${what}: ${detail}` : what, run ?? "", by, how];
    }),
  );
}
