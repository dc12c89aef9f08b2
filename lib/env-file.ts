// The app's settings: `.env.ENV` in its base, readable by dp alone.
import { parseEnv } from "./env.ts";
import { readText } from "./files.ts";
import { envFile } from "./paths.ts";

/** The variables of the env file; none when there is no file. Throws DpError "config" with every problem. */
export async function readEnvFile(base: string, env: string): Promise<Record<string, string>> {
  const path = envFile(base, env);
  const text = await readText(path);
  return text === null ? {} : parseEnv(text, path);
}
