// The Procfile: process types and their shell lines, in Heroku's format.
import { DpError } from "../errors.ts";
import { isProcessName } from "../text/ids.ts";
import type { Tree } from "../git/tree.ts";
import type { AppSettings } from "./declared.ts";
import type { DeployConfig } from "./types.ts";

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
    if (match[1] !== "release" && !isProcessName(match[1]!)) {
      const rule = 'a letter, then letters, digits, "-" and "_", 28 characters at most, and not cron';
      throw new DpError("config", `Procfile:${index + 1}: ${match[1]} cannot be the name of a process: ${rule}`);
    }
    if (processes.has(match[1]!)) throw new DpError("config", `Procfile:${index + 1}: ${match[1]} is defined twice`);
    processes.set(match[1]!, match[2]!);
  }
  return processes;
}

/** The shell line of the Procfile's `web` process, or null when there is none. Throws DpError "config". */
export async function webProcess(tree: Tree): Promise<string | null> {
  const text = await tree.read("Procfile", "by mark");
  return text === null ? null : (parseProcfile(text).get("web") ?? null);
}

/** The defaults of a process from a Procfile. */
const PLAIN = { healthCheck: { stayUp: 3_000 }, overlap: false };

/**
 * A deploy.yml completed by the Procfile: `web` where there is no command, the other processes where deploy.yml names
 * none, `release` as preDeploy where that hook is missing. `ignored`: the lines without effect. `type`: the settings of
 * the app's type.
 */
export async function withProcfile(
  config: DeployConfig,
  tree: Tree,
  type: AppSettings = {},
): Promise<{ config: DeployConfig; ignored: string[] }> {
  const text = type.startsNothing ? null : await tree.read("Procfile", "by mark");
  if (text === null) return { config, ignored: [] };
  const { web, release, ...others } = Object.fromEntries(parseProcfile(text));
  const takesWeb = web !== undefined && config.command === undefined && config.healthCheck !== undefined;
  const takesRelease = release !== undefined && config.hooks.preDeploy === undefined;
  const takesOthers = Object.keys(config.processes).length === 0;
  const added = Object.entries(others).map(([name, command]) => [name, { ...PLAIN, command }] as const);
  return {
    config: {
      ...config,
      ...(takesWeb ? { command: web } : {}),
      ...(takesRelease ? { hooks: { ...config.hooks, preDeploy: release } } : {}),
      ...(takesOthers ? { processes: Object.fromEntries(added) } : {}),
    },
    ignored: [
      ...(web === undefined || takesWeb ? [] : ["web"]),
      ...(release === undefined || takesRelease ? [] : ["release"]),
      ...(takesOthers ? [] : Object.keys(others)),
    ],
  };
}
