// Fetches packages from npm's registry for the whole server: by the server's npm, or without one by dp's own bun.
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { DpError } from "../../errors.ts";
import { readText } from "../../host/files.ts";
import type { Io } from "../../host/io.ts";
import { networkEnv } from "../../host/network.ts";
import { run } from "../../host/run.ts";
import { BUN } from "../../host/self.ts";
import { networkLines } from "./fetch.ts";

const MINUTES = 60_000;
/** The settings of a server without npm, as Debian's npm reads them, too. */
const SETTINGS = "/etc/npmrc";

/** A program that fetches a package into a folder. */
export interface Fetcher {
  name: "npm" | "bun";
  argv: string[];
}

const QUIET = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error", "--ignore-scripts"];
const npmArgv = (program: readonly string[]) => [...program, "install", ...QUIET, "--"];

/** The server's npm, otherwise dp's own bun. */
export const serverFetcher = (): Fetcher =>
  Bun.which("npm") === null
    ? {
        name: "bun",
        argv: [BUN, "--no-env-file", "add", "--backend=copyfile", "--ignore-scripts", "--no-progress"],
      }
    : { name: "npm", argv: npmArgv(["npm"]) };

/** A fetched npm, run by a fetched node. */
export const npmOf = (node: string, npm: string): Fetcher => ({
  name: "npm",
  argv: npmArgv([node, join(npm, "bin/npm-cli.js")]),
});

/** The settings of npm for all users of the server: the file of its npm if that exists, otherwise /etc/npmrc. */
export async function serverSettings(): Promise<string> {
  if (Bun.which("npm") === null) return SETTINGS;
  const ask = ["npm", "config", "get", "globalconfig"];
  const said = await run(ask, { env: networkEnv(), cwd: "/", timeout: MINUTES, check: false });
  const file = said.text.trim();
  return said.code === 0 && file.startsWith("/") && existsSync(file) ? file : SETTINGS;
}

/** The reason of the error for a version that the registry does not have. */
export const UNKNOWN_VERSION = "unknown version";

/**
 * Fetches a package into a folder of its own; answers the folder of its files. Throws DpError "command", for the reason
 * UNKNOWN_VERSION when the registry has none in that range.
 */
export async function fetchPackage(folder: string, name: string, range: string, by: Fetcher, io: Io): Promise<string> {
  await mkdir(folder);
  await Bun.write(join(folder, "package.json"), "{}");
  // bun reads no settings for the whole server. Those of the user come later, and so take precedence.
  if (by.name === "bun") await Bun.write(join(folder, ".npmrc"), await settingsLines(), { mode: 0o600 });
  io.info(`fetching ${name}@${range} with ${by.name}`);
  const settings = by.name === "npm" ? { NPM_CONFIG_GLOBALCONFIG: await serverSettings() } : {};
  const env = { ...networkEnv(), ...settings };
  const options = { cwd: folder, env, timeout: 20 * MINUTES, check: false, quiet: true };
  const result = await io.run([...by.argv, `${name}@${range}`], options);
  if (result.code === 0) return join(folder, "node_modules", name);
  const isUnknown = /ETARGET|E404|No version matching|notarget/i.test(result.text);
  throw new DpError("command", `${by.name} could not fetch ${name}@${range}`, {
    lines: result.text
      .split("\n")
      .filter((line) => !line.includes("A complete log"))
      .slice(-10),
    hint: isUnknown
      ? `npm view ${name} versions lists what there is`
      : `npm's registry must be reachable; for a mirror or a proxy: registry= or https-proxy= in ~/.npmrc or ${SETTINGS}`,
    ...(isUnknown ? { reason: UNKNOWN_VERSION } : {}),
  });
}

async function settingsLines(): Promise<string> {
  const home = process.env["HOME"] ?? homedir();
  const files = [
    [SETTINGS, "/etc"],
    [join(home, ".npmrc"), home],
  ] as const;
  const texts = files.map(async ([file, folder]) => networkLines((await readText(file)) ?? "", folder));
  return (await Promise.all(texts)).join("");
}
