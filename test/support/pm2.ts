// The real pm2, once for all tests of a run, and apart from whatever pm2 the machine has.
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

/** The version of pm2. */
export const VERSION = "7.0.4";

/** Why pm2 cannot be tested here, or null. With CI set that is a failure: a run must not go green by skipping. */
export function pm2Unavailable(): string | null {
  if (Bun.which("node") !== null) return null;
  if (process.env["CI"] === "true" && process.getuid!() === 0) throw new Error("pm2 cannot be tested without node");
  return "there is no node";
}

/** The folder with the program `pm2`; installed at the first call. */
export async function pm2Folder(): Promise<string> {
  const cache = process.env["DP_TEST_CACHE"] ?? resolve(import.meta.dir, "../../.cache");
  const folder = join(cache, `pm2-${VERSION}`);
  const bin = join(folder, "node_modules/.bin");
  if (existsSync(bin)) return bin;
  const temp = `${folder}.${process.pid}`;
  mkdirSync(temp, { recursive: true });
  writeFileSync(join(temp, "package.json"), JSON.stringify({ dependencies: { pm2: VERSION } }));
  const argv = [process.execPath, "install", "--ignore-scripts", "--no-save", "--cwd", temp];
  const install = Bun.spawn(argv, { stdio: ["ignore", "pipe", "pipe"] });
  const [code, out, err] = await Promise.all([install.exited, install.stdout.text(), install.stderr.text()]);
  if (code !== 0) throw new Error(`installing pm2 exited with code ${code}:\n${out}${err}`);
  try {
    renameSync(temp, folder);
  } catch (error) {
    // Another test was quicker: its copy is as good.
    if (!existsSync(bin)) throw error;
    rmSync(temp, { recursive: true, force: true });
  }
  return bin;
}
