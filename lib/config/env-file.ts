// The app's settings: `.env.ENV` in its base folder, readable only by dp.
import { realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { parseEnv } from "./env.ts";
import { codeOf } from "../errors.ts";
import { readText, writeFileAtomic } from "../host/files.ts";

/** The env file of an app: `.env.production` in its base. */
export function envFile(base: string, env: string): string {
  return join(base, `.env.${env}`);
}

/** The variables of the env file; none when there is no file. Throws DpError "config" with every problem. */
export async function readEnvFile(base: string, env: string): Promise<Record<string, string>> {
  return parseEnv(await envText(base, env), envFile(base, env));
}

/** The text of the env file; empty when there is none. */
export async function envText(base: string, env: string): Promise<string> {
  return (await readText(envFile(base, env))) ?? "";
}

/** Replaces the env file by one rename: mode 600, the same owner; a link stays, and its target is replaced. */
export async function writeEnvFile(base: string, env: string, text: string): Promise<void> {
  const path = envFile(base, env);
  const real = await realpath(path).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return path;
    throw error;
  });
  const before = await stat(real).catch(() => null);
  await writeFileAtomic(real, text, 0o600, before === null ? undefined : [before.uid, before.gid]);
}

/** A stamp that changes with the env file, and reveals nothing of its content. */
export async function envStamp(base: string, env: string): Promise<string> {
  const found = await stat(envFile(base, env)).catch(() => null);
  return found === null ? "none" : `${found.ino}:${found.mtimeMs}:${found.size}`;
}
