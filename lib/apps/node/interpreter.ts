// The node or bun that an app runs on: which are installed, which the commit asks for, which one is used.
import { readdir, realpath } from "node:fs/promises";
import { dirname, join } from "node:path";
import * as v from "valibot";
import type { Place, Seeker } from "../../contracts/app-type.ts";
import { codeOf, DpError } from "../../errors.ts";
import type { Io } from "../../host/io.ts";
import { answerOf, isExecutable, pathFolders } from "../../host/program.ts";
import { howToInstall, runtimeBins } from "../../host/runtime-folder.ts";
import { BUN } from "../../host/self.ts";
import { describeWishes, NEWEST_LTS, newestFirst, type Version, type Wish } from "./version.ts";

/** A node or bun that works for the app's user. */
export interface Interpreter {
  name: "node" | "bun";
  /** The program as found, absolute; links are not resolved, because npm lies beside the link. */
  program: string;
  version: Version;
  /** Operating system, architecture and binary interface, as far as installed modules depend on them. */
  platform: string;
}

// Where version managers keep node, below a home or for the whole server; * is a version.
const BELOW_HOME = [
  ".nvm/versions/node/*/bin",
  ".local/share/fnm/node-versions/*/installation/bin",
  ".fnm/node-versions/*/installation/bin",
  ".volta/tools/image/node/*/bin",
  ".asdf/installs/nodejs/*/bin",
  ".local/share/mise/installs/node/*/bin",
  "n/n/versions/node/*/bin",
];
const ON_SERVER = [
  "/usr/local/n/versions/node/*/bin",
  "/usr/local/nvm/versions/node/*/bin",
  "/opt/nvm/versions/node/*/bin",
  "/opt/*/bin",
];

/**
 * The node for the app: the first on its PATH if it satisfies the commit, otherwise the newest that does, from PATH,
 * the folders of nvm, fnm, volta, asdf, mise and n, and those installed by `dp runtimes`. Throws DpError "host", which
 * names the installed ones.
 */
export async function findNode(place: Place, wishes: readonly Wish[], io: Io): Promise<Interpreter> {
  const path = pathFolders(place.env["PATH"] ?? "");
  return choose("node", path, await managedFolders(place), wishes, place, io);
}

/** Every node that is available to an app. */
export async function allNodes(seeker: Seeker, io: Io): Promise<Interpreter[]> {
  const folders = [...pathFolders(seeker.env["PATH"] ?? ""), ...(await managedFolders(seeker))];
  return probeAll("node", folders, seeker, io);
}

/**
 * The bun for the app: from its PATH, from bun's usual places, otherwise the one that runs dp. Throws DpError "host".
 */
export async function findBun(place: Place, wishes: readonly Wish[], io: Io): Promise<Interpreter> {
  const path = pathFolders(place.env["PATH"] ?? "");
  const more = [...homes(place).map((home) => join(home, ".bun/bin")), dirname(BUN)];
  const visible = more.filter((folder) => isVisible(folder, place));
  return choose("bun", path, visible, wishes, place, io);
}

async function choose(
  name: "node" | "bun",
  path: readonly string[],
  more: readonly string[],
  wishes: readonly Wish[],
  place: Place,
  io: Io,
): Promise<Interpreter> {
  const fits = ({ version }: Interpreter) => wishes.every((wish) => wish.fits(version));
  const onPath = await probeAll(name, path, place, io);
  if (onPath[0] && fits(onPath[0])) return onPath[0];
  const all = [...onPath, ...(await probeAll(name, more, place, io))];
  if (name === "bun" && onPath.length === 0 && all[0] && fits(all[0])) return all[0];
  const best = all.filter(fits).sort((a, b) => newestFirst(a.version, b.version))[0];
  if (best) return best;
  const installed = [...new Set(all.map(({ version }) => version.text))].join(", ");
  if (installed === "")
    throw new DpError("host", `there is no ${name} on the app's PATH`, {
      hint: `${howToGet(name, wishes)}, or name its folder: path: in config.yml`,
    });
  throw new DpError("host", `the app wants ${name} ${describeWishes(wishes)}, this server has ${installed}`, {
    hint: `${howToGet(name, wishes)}, or change ${wishes[0]?.from ?? "the app"}`,
  });
}

const howToGet = (name: "node" | "bun", wishes: readonly Wish[]): string =>
  name === "bun" ? "install that bun for all users" : howToInstall("node", wishes[0]?.asked ?? NEWEST_LTS);

const PROBE =
  "const v=process.versions;console.log(JSON.stringify([process.versions.bun??v.node,process.release.lts??null," +
  "[process.platform,process.arch,process.versions.bun?'bun':v.modules].join('-')]))";

// The program may be the app's own, in its home: any other output means that it is no runtime.
const Said = v.pipe(
  v.string(),
  v.parseJson(),
  v.tuple([v.pipe(v.string(), v.regex(/^\d+\.\d+\.\d+[\w.+-]*$/)), v.nullable(v.string()), v.string()]),
);

async function probeAll(
  name: "node" | "bun",
  folders: readonly string[],
  place: Seeker,
  io: Io,
): Promise<Interpreter[]> {
  const programs = new Map<string, string>();
  for (const folder of folders) {
    const program = join(folder, name);
    if (!(await isExecutable(program))) continue;
    const real = await realpath(program);
    if (!programs.has(real)) programs.set(real, program);
  }
  const found = await Promise.all([...programs.values()].map((program) => probe(name, program, place, io)));
  return found.filter((one) => one !== null);
}

async function probe(name: "node" | "bun", program: string, place: Seeker, io: Io): Promise<Interpreter | null> {
  // Neither a preload from the app's settings nor one from a bunfig.toml may affect the answer.
  const { NODE_OPTIONS: _, ...env } = place.env;
  const argv = name === "bun" ? [program, "--no-env-file", "--config=/dev/null", "-e", PROBE] : [program, "-e", PROBE];
  const line = (await answerOf(argv, { ...place, env }, io))?.split("\n").find((text) => text.startsWith("["));
  const said = v.safeParse(Said, line);
  if (!said.success) return null;
  const [text, lts, platform] = said.output;
  return { name, program, version: { text, lts }, platform };
}

// A build has a different home from the app. Without root the app runs as dp's user, and has that home's programs, too.
function homes(place: Seeker): string[] {
  const own = [place.env["HOME"] ?? "", join(place.base, "home")];
  return [...new Set(own), place.user === undefined ? (process.env["HOME"] ?? "") : ""].filter((home) =>
    home.startsWith("/"),
  );
}

// Under systemd the app cannot see home folders, so programs there would be missing when it starts.
const isVisible = (folder: string, place: Seeker) =>
  place.user === undefined || folder.startsWith(`${place.base}/`) || !/^\/(?:home|root|run\/user)\//.test(folder);

async function managedFolders(place: Seeker): Promise<string[]> {
  const patterns = [...homes(place).flatMap((home) => BELOW_HOME.map((path) => join(home, path))), ...ON_SERVER];
  const found: string[] = [];
  for (const pattern of patterns) {
    const [above = "", below = ""] = pattern.split("/*/");
    const names = await readdir(above).catch((error) => {
      if (["ENOENT", "ENOTDIR", "EACCES"].includes(codeOf(error) ?? "")) return [];
      throw error;
    });
    found.push(...names.map((name) => join(above, name, below)));
  }
  return [...found, ...(await runtimeBins("node"))].filter((folder) => isVisible(folder, place));
}
