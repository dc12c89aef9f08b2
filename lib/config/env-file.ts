// The app's settings: `.env.ENV` in its base, readable by dp alone.
import { realpath, stat } from "node:fs/promises";
import { parseEnv } from "./env.ts";
import { codeOf } from "../errors.ts";
import { readText, writeFileAtomic } from "../host/files.ts";
import { envFile } from "../paths.ts";

/** The variables of the env file; none when there is no file. Throws DpError "config" with every problem. */
export async function readEnvFile(base: string, env: string): Promise<Record<string, string>> {
  return parseEnv(await envText(base, env), envFile(base, env));
}

/** The env file as it is; empty when there is none. */
export async function envText(base: string, env: string): Promise<string> {
  return (await readText(envFile(base, env))) ?? "";
}

/** Replaces the env file by one rename: mode 600, its owner kept; where it is a link, what that leads to. */
export async function writeEnvFile(base: string, env: string, text: string): Promise<void> {
  const path = envFile(base, env);
  const real = await realpath(path).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return path;
    throw error;
  });
  const before = await stat(real).catch(() => null);
  await writeFileAtomic(real, text, 0o600, before === null ? undefined : [before.uid, before.gid]);
}

/** Changes whenever the env file does, and tells nothing of what is in it. */
export async function envStamp(base: string, env: string): Promise<string> {
  const found = await stat(envFile(base, env)).catch(() => null);
  return found === null ? "none" : `${found.ino}:${found.mtimeMs}:${found.size}`;
}
