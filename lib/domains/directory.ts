// What a CA offers by ACME, asked without lego: the addresses in its directory.
import type { TlsSettings } from "../config/tls.ts";
import { messageOf } from "../errors.ts";
import { direct } from "../health/probe.ts";
import { readText } from "../host/files.ts";
import { orderError } from "./problem.ts";

const PATIENCE = 20_000;

/** Sends a request to the CA. Throws DpError "command" when it is not reached. */
export async function askCa(
  { directory, directoryCa }: TlsSettings,
  url: string,
  init: BunFetchRequestInit = {},
): Promise<Response> {
  const ca = directoryCa === undefined ? null : await readText(directoryCa);
  if (directoryCa !== undefined && ca === null) throw orderError(`${directoryCa} does not exist`);
  try {
    return await direct(url, {
      ...init,
      ...(ca !== null && { tls: { ca } }),
      redirect: "manual",
      signal: AbortSignal.timeout(PATIENCE),
    });
  } catch (error) {
    throw orderError(`the CA at ${new URL(directory).host} cannot be reached: ${messageOf(error)}`);
  }
}

const directories = new Map<string, Promise<Record<string, unknown>>>();

/** The directory, asked for once by a process: a CA that does not answer is not waited for again for each name. */
function directoryOf(settings: TlsSettings): Promise<Record<string, unknown>> {
  const known = directories.get(settings.directory) ?? readDirectory(settings);
  directories.set(settings.directory, known);
  return known;
}

async function readDirectory(settings: TlsSettings): Promise<Record<string, unknown>> {
  const answer = await askCa(settings, settings.directory);
  const known = (await answer.json().catch(() => null)) as Record<string, unknown> | null;
  if (answer.ok && known !== null && typeof known === "object") return known;
  throw orderError(`${settings.directory} is no directory of a CA: it answers ${answer.status}`);
}

/** An address of the directory; null: the CA does not offer it. Throws DpError "command". */
export async function addressOf(
  settings: TlsSettings,
  what: "newNonce" | "newAccount" | "renewalInfo",
): Promise<string | null> {
  const url = (await directoryOf(settings))[what];
  return typeof url === "string" && url.startsWith("https://") ? url : null;
}
