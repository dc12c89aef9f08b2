// The repository that an app's code is fetched from. Its password is in a file that only dp reads, and where git has a
// user of its own, so is the address that dp obeys.
import { existsSync } from "node:fs";
import type { NamedApp } from "../contracts/app.ts";
import { DpError } from "../errors.ts";
import { git } from "../git/git.ts";
import { isGivenAway, noteFile } from "../git/owner.ts";
import { readText, removeFile, writeFileAtomic } from "../host/files.ts";
import type { Io } from "../host/io.ts";
import { shellQuote } from "../host/template.ts";

const fileOf = ({ places }: NamedApp) => noteFile(places, "credentials");
/** The address, where git's config is not dp's. */
const addressFile = ({ places }: NamedApp) => noteFile(places, "origin");

interface Address {
  /** Without a password. A user name stays: ssh needs it, and it is no secret. */
  url: string;
  /** The answer for git's credential helper, as lines; null: the address has no password. */
  credentials: string | null;
}

/** Splits an address and its password. Throws DpError "usage" for a text of several lines. */
export function addressOf(text: string): Address {
  const [whole = "", scheme = "", name = "", password = ""] = /^(https?:\/\/)([^/?#@:]*):([^/?#]*)@/i.exec(text) ?? [];
  if (whole === "") return { url: text, credentials: null };
  const values = { username: decoded(name), password: decoded(password) };
  if (Object.values(values).some((value) => /[\n\0]/.test(value)))
    throw new DpError("usage", "the address has a line break in its user name or password");
  const credentials = Object.entries(values).map(([key, value]) => `${key}=${value}\n`);
  return { url: scheme + text.slice(whole.length), credentials: credentials.join("") };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // A literal "%"
  }
}

async function originOf(app: NamedApp): Promise<string | null> {
  const { repo } = app.places;
  if (isGivenAway(repo)) return (await readText(addressFile(app)))?.replace(/\n$/, "") ?? null;
  const { code, text } = await git(repo, ["config", "--get", "remote.origin.url"], { check: false });
  return code === 0 ? text : null;
}

/** Whether git's config contains a password for origin, which an earlier dp wrote there. */
export async function hasCredentials(app: NamedApp): Promise<boolean> {
  return addressOf((await originOf(app)) ?? "").credentials !== null;
}

/** Moves a password from git's config to the file; answers whether there was one. */
export async function setCredentialsApart(app: NamedApp): Promise<boolean> {
  const now = await originOf(app);
  if (now === null || addressOf(now).credentials === null) return false;
  await keepOrigin(app, now);
  return true;
}

// The password first: a deploy that fetches in between finds it twice rather than not at all.
async function keepOrigin(app: NamedApp, text: string): Promise<void> {
  const { url, credentials } = addressOf(text);
  if (credentials !== null) await writeFileAtomic(fileOf(app), credentials, 0o600);
  if ((await originOf(app)) === url) return;
  if (isGivenAway(app.places.repo)) await writeFileAtomic(addressFile(app), `${url}\n`);
  await git(app.places.repo, ["config", "remote.origin.url", url]);
}

/** Fetches the branch of another repository, and saves that as "origin"; answers its address without a password. */
export async function fetchFrom(app: NamedApp, text: string, branch: string, io: Io): Promise<string> {
  const { url, credentials } = addressOf(text);
  // The stored password may belong to another server.
  if (credentials === null && url !== (await originOf(app))) await removeFile(fileOf(app));
  await keepOrigin(app, text);
  await fetchOrigin(app, branch, io);
  return url;
}

/** Fetches the deploy branch from "origin"; false when the repository has no origin. */
export async function fetchOrigin(app: NamedApp, branch: string, io: Io): Promise<boolean> {
  await setCredentialsApart(app);
  const url = await originOf(app);
  if (url === null) return false;
  const refs = `+refs/heads/${branch}:refs/heads/${branch}`;
  const { repo } = app.places;
  if (isGivenAway(repo)) {
    const { fetchApart } = await import("./fetch-apart.ts");
    await fetchApart({ repo, url, refs, credentials: await readText(fileOf(app)) }, io);
    return true;
  }
  const options = [...helper(app, url), "-c", "protocol.ext.allow=never"];
  await git(repo, [...options, "fetch", "--quiet", "--no-tags", "origin", refs], {
    timeout: 600_000,
    signal: io.signal,
    // The operator's own keys and agent: this is their fetch, not the app's.
    env: { ...process.env, GIT_TERMINAL_PROMPT: "0" } as Record<string, string>,
  });
  return true;
}

/**
 * Gives git the password through a helper for that host alone. In the address it would be an argument of git's
 * programs, which every user can read; git's "store" helper would delete it when a server refuses it once.
 */
function helper(app: NamedApp, url: string): string[] {
  const host = /^https?:\/\/[^/?#]+/i.exec(url)?.[0];
  const file = fileOf(app);
  if (host === undefined || !existsSync(file)) return [];
  const key = `credential.${host}.helper`;
  // An empty helper first, to disable those of the operator's settings.
  return ["-c", `${key}=`, "-c", `${key}=!f() { [ "$1" != get ] || cat ${shellQuote(file)}; }; f`];
}
