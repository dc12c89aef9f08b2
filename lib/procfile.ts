// The Procfile: process types and their shell lines, as Heroku made it known.
import { DpError } from "./errors.ts";
import type { Tree } from "./tree.ts";

const LINE = /^([A-Za-z0-9_-]+):\s*(\S.*)$/;

/**
 * Process type -> shell line, in the order of the file. Throws DpError "config" with the line number for
 * anything that is neither `type: command`, a comment nor empty, and for a type that occurs twice.
 */
export function parseProcfile(text: string): Map<string, string> {
  const processes = new Map<string, string>();
  for (const [index, raw] of text
    .replace(/^\uFEFF/, "")
    .split("\n")
    .entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const match = LINE.exec(line);
    if (!match)
      throw new DpError("config", `Procfile:${index + 1}: expected "type: command", found ${JSON.stringify(line)}`);
    if (processes.has(match[1]!)) throw new DpError("config", `Procfile:${index + 1}: ${match[1]} is there twice`);
    processes.set(match[1]!, match[2]!);
  }
  return processes;
}

/** The shell line of the Procfile's `web` process, or null when there is none. Throws DpError "config". */
export async function webProcess(tree: Tree): Promise<string | null> {
  const text = await tree.read("Procfile");
  return text === null ? null : (parseProcfile(text).get("web") ?? null);
}
