// A package manager fetched by npm into a folder of its own, by the settings of the server, of the app's user and of the app.
import { join } from "node:path";
import type { Place } from "../../contracts/app-type.ts";
import { DpError } from "../../errors.ts";
import type { Io } from "../../host/io.ts";
import { answerOf, findProgram } from "../../host/program.ts";
import type { PackageManager } from "./lock.ts";
import { freshFolder, isComplete, markComplete, removeKept, storeFolder } from "./store.ts";

/** A program that was fetched. */
interface Fetched {
  argv: string[];
  version: string;
  /** The folder that it is in, to come first on PATH. */
  folder: string;
}

const OPTIONS = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];

/**
 * The version of a package manager that packageManager names or the lock file needs, once for all releases.
 * `installed`: what the server has instead, for the message. Throws DpError "host" without npm, "config" when what came
 * is not what packageManager's hash says.
 */
export async function fetchTool(
  place: Place,
  manager: PackageManager,
  installed: string | null,
  io: Io,
): Promise<Fetched> {
  const { kind, name, pinned, hash } = manager;
  const wanted = pinned ?? manager.fetch;
  // With the hash in its name: what was fetched without one has not been compared.
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

// Where packages come from, and how they are reached. All else in an app's .npmrc is for its own modules.
const NETWORK =
  /^\s*(?:(?:@[^\s=]+:)?registry|\/\/[^\s=]+|(?:https?-)?proxy|noproxy|ca(?:\[\])?|cafile|cert|key|strict-ssl|fetch-[\w-]+|replace-registry-host|_auth\w*)\s*=/;
const FILE = /^(\s*[^\s=]*(?:cafile|certfile|keyfile)\s*=\s*["']?)(?![/~$"'])/;

/** The lines of an app's .npmrc that say where packages come from; files in its folder by their whole path. */
export function networkLines(npmrc: string, folder: string): string {
  const lines = npmrc.split(/\r?\n/).filter((line) => NETWORK.test(line));
  return lines.map((line) => `${line.replace(FILE, (before) => `${before}${folder}/`)}\n`).join("");
}

// A package.json makes the folder a project. --prefix would do, but npm looks for the server's npmrc below it as well.
const MAKE = 'umask 077; echo "{}" > package.json; printf %s "$APP_NPMRC" > .npmrc';

async function makeProject(place: Place, root: string, io: Io): Promise<void> {
  const { user, folder, timeout } = place;
  const npmrc = await answerOf(["cat", "--", ".npmrc"], place, io);
  // Not as an argument: everybody sees those, and there may be a token.
  const env = { PATH: place.env["PATH"] ?? "", APP_NPMRC: networkLines(npmrc ?? "", folder) };
  await io.run(["sh", "-c", MAKE], { user, timeout, env, cwd: root, quiet: true });
}

// packageManager's hash is that of npm's own archive, but for berry's, which comes from elsewhere.
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

/** The sha512 by which npm has checked what it installed, in hex. */
async function integrity(place: Place, name: string, root: string, io: Io): Promise<string> {
  const listing = await answerOf(["cat", join(root, "node_modules/.package-lock.json")], place, io);
  const { packages } = JSON.parse(listing ?? "{}") as { packages?: Record<string, { integrity?: string }> };
  const found = packages?.[`node_modules/${name}`]?.integrity ?? "";
  return Buffer.from(found.replace(/^sha512-/, ""), "base64").toString("hex");
}
