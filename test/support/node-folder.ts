// The node and npm of the tests: the same on every machine, out of npm's registry, in a folder that can be copied.
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";

const NODE = "22.23.3";
const NPM = "10.9.9";

let made: Promise<string> | undefined;

/** The folder, with bin/node, bin/npm and lib/node_modules/npm; fetched by Bun the first time. */
export const nodeFolder = (): Promise<string> => (made ??= make());

async function make(): Promise<string> {
  const cache = resolve(import.meta.dir, "../../.cache/node");
  const folder = join(cache, `${NODE}-${NPM}`);
  if (existsSync(folder)) return folder;
  mkdirSync(cache, { recursive: true });
  const temp = mkdtempSync(join(cache, "fetch-"));
  try {
    const packages = [`node-linux-${process.arch}@${NODE}`, `npm@${NPM}`];
    await Bun.write(join(temp, "package.json"), "{}");
    const argv = [process.execPath, "--no-env-file", "add", "--backend=copyfile", "--ignore-scripts", ...packages];
    const child = Bun.spawn(argv, { cwd: temp, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const [code, text] = [await child.exited, await child.stderr.text()];
    if (code !== 0) throw new Error(`node and npm could not be fetched:\n${text}`);
    const tree = join(temp, "tree");
    for (const path of ["bin", "lib/node_modules"]) mkdirSync(join(tree, path), { recursive: true });
    renameSync(join(temp, `node_modules/node-linux-${process.arch}/bin/node`), join(tree, "bin/node"));
    renameSync(join(temp, "node_modules/npm"), join(tree, "lib/node_modules/npm"));
    for (const name of ["npm", "npx"])
      symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(tree, "bin", name));
    renameSync(tree, folder);
  } catch (error) {
    // Somebody else may have been faster.
    if (!existsSync(folder)) throw error;
  } finally {
    rmSync(temp, { recursive: true, force: true });
  }
  return folder;
}
