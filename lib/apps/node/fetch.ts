// Fetches a package manager with npm into a folder of its own, with the settings of the server, the app's user and the
// app.
import { join } from "node:path";
import type { Place } from "../../contracts/app-type.ts";
import { DpError } from "../../errors.ts";
import type { Io } from "../../host/io.ts";
import { answerOf, findProgram } from "../../host/program.ts";
import type { PackageManager } from "./lock.ts";
import { freshFolder, isComplete, markComplete, removeKept, storeFolder } from "./store.ts";

/** A fetched program. */
interface Fetched {
  argv: string[];
  version: string;
  /** Its folder, to come first on PATH. */
  folder: string;
}

const OPTIONS = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];

/**
 * The version of a package manager that packageManager names or the lock file needs, fetched once for all releases.
 * `installed`: the server's own versions, for the message. Throws DpError "host" without npm, "config" when the result
 * does not match packageManager's hash.
 */
export async function fetchTool(
  place: Place,
  manager: PackageManager,
  installed: string | null,
  io: Io,
): Promise<Fetched> {
  const { kind, name, pinned, hash } = manager;
  const wanted = pinned ?? manager.fetch;
  // The hash is part of the name: a copy fetched without one has not been verified.
  const key = `${kind}-${[wanted, ...(hash === null ? [] : [hash.slice(0, 24)])].join("-").replace(/[^\w.-]/g, "_")}`;
  const root = join(storeFolder(place.base), key);
  const bin = join(root, "node_modules/.bin");
  if (!(await isComplete(place.base, key))) {
    const npm = await requireNpm(place, manager, installed);
    const what = `${kind === "berry" ? "@yarnpkg/cli-dist" : name}@${wanted}`;
    io.info(`fetching ${what} with npm`);
    await freshFolder(place, key, io);
    const { user, env, timeout } = place;
    try {
      await makeProject(place, root, io);
      const confined = { ...place, opens: [...place.opens, root] };
      await io.run([npm, "install", ...OPTIONS, "--", what], { user, env, timeout, confined, cwd: root });
      await checkHash(place, manager, npm, root, io);
      await io.run(["rm", "-f", "--", ".npmrc"], { user, cwd: root, quiet: true });
      if (kind === "npm") await keepSettings(place, npm, root, io);
    } catch (error) {
      await removeKept(place, key, io);
      throw error;
    }
    await markComplete(place, key, { tool: what }, io);
  }
  const argv = [join(bin, name)];
  const version = await answerOf([...argv, "--version"], place, io);
  if (version === null) throw new DpError("host", `${name} ${wanted} does not run on this server's node`);
  return { argv, version, folder: bin };
}

async function requireNpm(
  place: Place,
  { name, pinned, fetch }: PackageManager,
  installed: string | null,
): Promise<string> {
  const npm = await findProgram("npm", place.env["PATH"] ?? "");
  if (npm !== null) return npm;
  const wanted = pinned ?? fetch;
  const lack = installed === null ? `there is no ${name}` : `there is ${name} ${installed}, not ${wanted},`;
  throw new DpError("host", `${lack} on the app's PATH${name === "npm" ? "" : ", and no npm to fetch it with"}`, {
    hint: name === "npm" ? "install npm on the server: apt install npm" : `install npm or ${name} ${wanted}`,
  });
}

// Settings about where packages come from. Everything else in an app's .npmrc concerns only its own modules.
const NETWORK =
  /^\s*(?:(?:@[^\s=]+:)?registry|\/\/[^\s=]+|(?:https?-)?proxy|noproxy|ca(?:\[\])?|cafile|cert|key|strict-ssl|fetch-[\w-]+|replace-registry-host|_auth\w*)\s*=/;
const FILE = /^(\s*[^\s=]*(?:cafile|certfile|keyfile)\s*=\s*["']?)(?![/~$"'])/;

/** The lines of an app's .npmrc about where packages come from; files in its folder get absolute paths. */
export function networkLines(npmrc: string, folder: string): string {
  const lines = npmrc.split(/\r?\n/).filter((line) => NETWORK.test(line));
  return lines.map((line) => `${line.replace(FILE, (before) => `${before}${folder}/`)}\n`).join("");
}

// A package.json makes the folder a project. With --prefix, npm would also look for the server's npmrc in it.
const MAKE = 'umask 077; echo "{}" > package.json; printf %s "$APP_NPMRC" > .npmrc';

async function makeProject(place: Place, root: string, io: Io): Promise<void> {
  const { user, folder, timeout } = place;
  const npmrc = await answerOf(["cat", "--", ".npmrc"], place, io);
  // Not as an argument, which every user could read: it may contain a token.
  const env = { PATH: place.env["PATH"] ?? "", APP_NPMRC: networkLines(npmrc ?? "", folder) };
  await io.run(["sh", "-c", MAKE], { user, timeout, env, cwd: root, quiet: true });
}

// npm looks for the server's settings beside node, and the npm of a distribution elsewhere: the fetched one reads those
// of the one that fetched it.
async function keepSettings(place: Place, npm: string, root: string, io: Io): Promise<void> {
  const file = (await answerOf([npm, "config", "get", "globalconfig"], place, io))?.trim();
  if (!file?.startsWith("/") || file.includes("\n")) return;
  const write = ["sh", "-c", 'printf "globalconfig=%s\\n" "$1" > node_modules/npm/npmrc', "sh", file];
  await io.run(write, { user: place.user, cwd: root, quiet: true });
}

// packageManager's hash is that of npm's own archive; berry's archive comes from elsewhere.
async function checkHash(
  place: Place,
  { kind, name, pinned, hash }: PackageManager,
  npm: string,
  root: string,
  io: Io,
) {
  if (hash === null) return;
  if (kind === "berry")
    return io.warn(`the hash of yarn ${pinned} is not checked: it belongs to another file than npm's`);
  const hint = `corepack use ${name}@${pinned} writes the right one`;
  const [algorithm, wanted] = hash.split(".");
  const what = `${name}@${pinned}`;
  const found = algorithm === "sha512" ? await integrity(place, name, root, io) : await sum();
  if (found === wanted) return;
  throw new DpError("config", `package.json: ${what} does not have the hash that packageManager says`, { hint });

  async function sum(): Promise<string | undefined> {
    const { user, env, timeout } = place;
    const pack = [npm, "pack", "--ignore-scripts", "--loglevel=error", "--", what];
    await io.run(pack, { user, env, timeout, cwd: root, quiet: true });
    const file = join(root, `${name}-${pinned}.tgz`);
    const said = await answerOf([`${algorithm}sum`, "--", file], place, io);
    await io.run(["rm", "-f", "--", file], { user, quiet: true });
    return said?.split(" ")[0];
  }
}

/** The sha512 that npm verified during the install, in hex. */
async function integrity(place: Place, name: string, root: string, io: Io): Promise<string> {
  const listing = await answerOf(["cat", join(root, "node_modules/.package-lock.json")], place, io);
  const { packages } = JSON.parse(listing ?? "{}") as { packages?: Record<string, { integrity?: string }> };
  const found = packages?.[`node_modules/${name}`]?.integrity ?? "";
  return Buffer.from(found.replace(/^sha512-/, ""), "base64").toString("hex");
}
