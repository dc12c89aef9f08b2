// The package manager as a program: one that is installed, else fetched by npm into a folder of its own.
import { join } from "node:path";
import type { Place } from "../../contracts/app-type.ts";
import { readCommitted } from "../../git/committed.ts";
import { DpError } from "../../errors.ts";
import type { Io } from "../../host/io.ts";
import { answerOf, findProgram } from "../../host/program.ts";
import { findBun, type Interpreter } from "./interpreter.ts";
import type { Manager } from "./lock.ts";
import { freshFolder, isComplete, markComplete, removeKept, storeFolder } from "./store.ts";

/** A package manager that runs. */
export interface Tool {
  manager: Manager;
  /** How it is called: `["/usr/bin/npm"]`, or node and a file of the commit. */
  argv: string[];
  version: string;
  /** The folder of the program when dp fetched it, to come first on PATH; else null. */
  folder: string | null;
}

/**
 * The program of a package manager, in the version that packageManager names or the lock file needs: on PATH, or
 * fetched with npm, once for all releases. `place.env.PATH` begins with the chosen node. Throws DpError "host" when
 * there is neither, "config" when what was fetched is not what packageManager's hash says.
 */
export async function findTool(place: Place, manager: Manager, bun: Interpreter | null, io: Io): Promise<Tool> {
  if (manager.kind === "bun") return ofBun(manager, bun ?? (await findBun(place, [], io)));
  const own = manager.kind === "berry" ? await committedYarn(place) : null;
  const installed = own ?? (await onPath(place, manager.name));
  const version = installed && (await answerOf([...installed, "--version"], quiet(place), io));
  if (installed && version && (own !== null || isWanted(manager, version))) {
    return { manager, argv: installed, version, folder: null };
  }
  return fetchTool(place, manager, version, io);
}

function ofBun(manager: Manager, { program, version }: Interpreter): Tool {
  const { pinned } = manager;
  const isOlder = pinned !== null && Bun.semver.order(version.text, pinned) < 0;
  if (isOlder || (pinned !== null && !Bun.semver.satisfies(version.text, `^${pinned}`))) {
    throw new DpError("host", `the app wants bun ${pinned} (packageManager), this server has ${version.text}`, {
      hint: `install bun ${pinned} on the server, or change packageManager in package.json`,
    });
  }
  return { manager, argv: [program], version: version.text, folder: null };
}

const isWanted = (manager: Manager, version: string) =>
  manager.pinned === null ? Bun.semver.satisfies(version, manager.range) : version === manager.pinned;

async function onPath(place: Place, name: string): Promise<string[] | null> {
  const program = await findProgram(name, place.env["PATH"] ?? "");
  return program === null ? null : [program];
}

// Corepack's programs on PATH fetch what packageManager names by themselves, and must not ask whether they may.
const quiet = (place: Place): Place => ({ ...place, env: { ...place.env, COREPACK_ENABLE_DOWNLOAD_PROMPT: "0" } });

/** The yarn that the commit brings along: `yarnPath: .yarn/releases/yarn-4.1.0.cjs` in .yarnrc.yml. */
async function committedYarn(place: Place): Promise<string[] | null> {
  const settings = await readCommitted(place.tree, ".yarnrc.yml");
  const path = /^yarnPath: *["']?([^"'\n#]+?)["']? *$/m.exec(settings ?? "")?.[1];
  const isThere = path !== undefined && (await place.tree.list()).some((entry) => entry.path === path);
  return isThere ? ["node", join(place.folder, path)] : null;
}

async function fetchTool(place: Place, manager: Manager, installed: string | null, io: Io): Promise<Tool> {
  const { kind, name, pinned } = manager;
  const wanted = pinned ?? manager.fetch;
  const npm = await findProgram("npm", place.env["PATH"] ?? "");
  if (npm === null) {
    const lack = installed === null ? `there is no ${name}` : `there is ${name} ${installed}, not ${wanted},`;
    throw new DpError("host", `${lack} on the app's PATH${name === "npm" ? "" : ", and no npm to fetch it with"}`, {
      hint: name === "npm" ? "install npm on the server: apt install npm" : `install npm or ${name} ${wanted}`,
    });
  }
  const key = `${kind}-${wanted.replace(/[^\w.-]/g, "_")}`;
  const root = join(storeFolder(place.base), key);
  const bin = join(root, "node_modules/.bin");
  if (!(await isComplete(place.base, key))) {
    const what = `${kind === "berry" ? "@yarnpkg/cli-dist" : name}@${wanted}`;
    io.info(`fetching ${what} with npm`);
    await freshFolder(place, key, io);
    const options = [
      "--no-save",
      "--no-package-lock",
      "--no-audit",
      "--no-fund",
      "--ignore-scripts",
      "--loglevel=error",
    ];
    const { user, env, timeout } = place;
    try {
      // Not in the app's folder: its .npmrc may have settings for the app alone.
      const argv = [npm, "install", "--prefix", root, ...options, "--", what];
      await io.run(argv, { user, env, timeout, confined: place, cwd: root });
      await checkHash(place, manager, npm, root, io);
    } catch (error) {
      await removeKept(place, key, io);
      throw error;
    }
    await markComplete(place.base, key, { tool: what }, io);
  }
  const argv = [join(bin, name)];
  const version = await answerOf([...argv, "--version"], place, io);
  if (version === null) throw new DpError("host", `${name} ${wanted} does not run on this server's node`);
  return { manager, argv, version, folder: bin };
}

// packageManager's hash is that of npm's own archive, but for berry's, which comes from elsewhere.
async function checkHash(place: Place, { kind, name, pinned, hash }: Manager, npm: string, root: string, io: Io) {
  if (hash === null) return;
  if (kind === "berry")
    return io.warn(`the hash of yarn ${pinned} is not checked: it is that of another file than npm's`);
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
