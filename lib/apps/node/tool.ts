// The package manager as a program: an installed one, otherwise one that npm fetches.
import { join } from "node:path";
import type { Place } from "../../contracts/app-type.ts";
import { readCommitted } from "../../git/committed.ts";
import { DpError } from "../../errors.ts";
import type { Io } from "../../host/io.ts";
import { answerOf, findProgram } from "../../host/program.ts";
import { fetchTool } from "./fetch.ts";
import { findBun, type Interpreter } from "./interpreter.ts";
import type { PackageManager } from "./lock.ts";

/** A package manager that runs. */
export interface Tool {
  manager: PackageManager;
  /** Its command: `["/usr/bin/npm"]`, or node and a file of the commit. */
  argv: string[];
  version: string;
  /** The folder of the program if dp fetched it, to come first on PATH; otherwise null. */
  folder: string | null;
}

/**
 * The program of a package manager, in the version that packageManager names or the lock file needs: from PATH, or
 * fetched with npm once for all releases. `place.env.PATH` begins with the chosen node. Throws DpError "host" when
 * there is neither, "config" when the fetched one does not match packageManager's hash.
 */
export async function findTool(place: Place, manager: PackageManager, bun: Interpreter | null, io: Io): Promise<Tool> {
  if (manager.kind === "bun") return ofBun(manager, bun ?? (await findBun(place, [], io)));
  const own = manager.kind === "berry" ? await committedYarn(place) : null;
  const installed = own ?? (await onPath(place, manager.name));
  const version = installed && (await answerOf([...installed, "--version"], quiet(place), io));
  if (installed && version && (own !== null || isWanted(manager, version))) {
    return { manager, argv: installed, version, folder: null };
  }
  const fetched = await fetchTool(place, manager, version, io);
  return { manager, ...fetched };
}

function ofBun(manager: PackageManager, { program, version }: Interpreter): Tool {
  const { pinned } = manager;
  const isOlder = pinned !== null && Bun.semver.order(version.text, pinned) < 0;
  if (isOlder || (pinned !== null && !Bun.semver.satisfies(version.text, `^${pinned}`))) {
    throw new DpError("host", `the app wants bun ${pinned} (packageManager), this server has ${version.text}`, {
      hint: `install bun ${pinned} on the server, or change packageManager in package.json`,
    });
  }
  return { manager, argv: [program], version: version.text, folder: null };
}

const isWanted = (manager: PackageManager, version: string) =>
  manager.pinned === null ? Bun.semver.satisfies(version, manager.range) : version === manager.pinned;

async function onPath(place: Place, name: string): Promise<string[] | null> {
  const program = await findProgram(name, place.env["PATH"] ?? "");
  return program === null ? null : [program];
}

// Corepack's programs on PATH would fetch what packageManager names, without reading any npmrc. They may only use what
// they have; npm fetches the rest.
const OFFLINE = { COREPACK_ENABLE_DOWNLOAD_PROMPT: "0", COREPACK_ENABLE_NETWORK: "0" };
const quiet = (place: Place): Place => ({ ...place, env: { ...place.env, ...OFFLINE } });

/** The yarn in the commit: `yarnPath: .yarn/releases/yarn-4.1.0.cjs` in .yarnrc.yml. */
async function committedYarn(place: Place): Promise<string[] | null> {
  const settings = await readCommitted(place.tree, ".yarnrc.yml");
  const path = /^yarnPath: *["']?([^"'\n#]+?)["']? *$/m.exec(settings ?? "")?.[1];
  const isThere = path !== undefined && (await place.tree.list()).some((entry) => entry.path === path);
  return isThere ? ["node", join(place.folder, path)] : null;
}
