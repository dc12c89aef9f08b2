// A package.json script as a plain shell line, without an npm process between the caller and the program.
import { join } from "node:path";
import type { Place } from "../../contracts/app-type.ts";
import type { Io } from "../../host/io.ts";
import { startScript } from "../../host/process/command-line.ts";
import { shellQuote } from "../../host/template.ts";
import type { Package } from "./package.ts";

/** The app's own scripts that npm runs during an install, in this order. */
export const INSTALL_SCRIPTS = [
  "preinstall",
  "install",
  "postinstall",
  "prepublish",
  "preprepare",
  "prepare",
  "postprepare",
] as const;

// `npm run serve`, `pnpm serve`, `yarn serve`, `bun run serve`: a call of another script and nothing more.
const NESTED = /^(?:npm|pnpm|yarn|bun) (?:run |run-script )?([\w:.-]+)$/;

/** The variables that npm, pnpm, yarn and bun all give to a script; `folder` contains package.json. */
export function scriptEnv(pkg: Package, event: string, folder: string): Record<string, string> {
  const config = Object.entries(pkg.config).map(([key, value]) => [
    `npm_package_config_${key.replace(/\W/g, "_")}`,
    value,
  ]);
  return {
    npm_lifecycle_event: event,
    npm_lifecycle_script: pkg.scripts[event] ?? "",
    npm_package_json: join(folder, "package.json"),
    ...(pkg.name === undefined ? {} : { npm_package_name: pkg.name }),
    ...(pkg.version === undefined ? {} : { npm_package_version: pkg.version }),
    ...Object.fromEntries(config),
  };
}

const exportLine = (env: Record<string, string>): string =>
  `export ${Object.entries(env)
    .map(([name, value]) => `${name}=${shellQuote(value)}`)
    .join(" ")}`;

/** The script that another one calls: with `"start": "npm run serve"`, "serve"; at most ten times. */
function follow(pkg: Package, event: string): string {
  let name = event;
  for (let steps = 0; steps < 10; steps++) {
    const line = pkg.scripts[name]?.trim() ?? "";
    const next = NESTED.exec(line)?.[1];
    // A script with its own "pre" or "post" is more than its line.
    if (next === undefined || pkg.scripts[next] === undefined || isWrapped(pkg, next)) return name;
    name = next;
  }
  return name;
}

const isWrapped = (pkg: Package, name: string) =>
  pkg.scripts[`pre${name}`] !== undefined || pkg.scripts[`post${name}`] !== undefined;

/** The variables for `scriptLine`; none when there is no such script. */
export const lineEnv = (pkg: Package | null, event: string, folder: string): Record<string, string> =>
  pkg?.scripts[event]?.trim() ? scriptEnv(pkg, follow(pkg, event), folder) : {};

/**
 * The shell line that starts a script, run with `lineEnv`: its "pre" script, if any, and its own line. Null when there
 * is no such script.
 */
export function scriptLine(pkg: Package, event: string, folder: string): string | null {
  if (!pkg.scripts[event]?.trim()) return null;
  const line = pkg.scripts[follow(pkg, event)]!.trim();
  const before = pkg.scripts[`pre${event}`]?.trim();
  if (!before) return line;
  const env = exportLine(scriptEnv(pkg, `pre${event}`, folder));
  return `(${env}; exec sh -c ${shellQuote(before)}) || exit; ${startScript(line)}`;
}

/** Runs a script to its end in the app's folder. Throws DpError "command" with its last lines of output. */
export async function runScript(place: Place, pkg: Package, name: string, agent: string, io: Io): Promise<void> {
  const { user, timeout, folder: cwd } = place;
  const line = pkg.scripts[name]!;
  io.info(`${name}: ${line}`);
  const PATH = `${join(cwd, "node_modules/.bin")}:${place.env["PATH"] ?? ""}`;
  const env = { ...place.env, ...scriptEnv(pkg, name, cwd), npm_config_user_agent: agent, PATH };
  await io.run(["sh", "-c", line], { user, timeout, confined: place, cwd, env });
}
