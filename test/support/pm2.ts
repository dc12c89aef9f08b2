// The real pm2 from npm, once for all tests of a run, and apart from whatever pm2 the machine has.
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";

const VERSION = "7.0.4";

/** Why pm2 cannot be tested here, or null. With CI set that is a failure: a run must not go green by skipping. */
export function pm2Unavailable(): string | null {
  const absent = ["node", "npm"].filter((name) => Bun.which(name) === null);
  if (absent.length === 0) return null;
  if (process.env["CI"] === "true") throw new Error(`pm2 cannot be tested without ${absent.join(" and ")}`);
  return `there is no ${absent.join(" and no ")}`;
}

/** The folder with the programs `pm2` and `node`, open to every user; installed at the first call. */
export async function pm2Folder(): Promise<string> {
  const cache = process.env["DP_TEST_CACHE"] ?? resolve(import.meta.dir, "../../.cache");
  const folder = join(cache, `pm2-${VERSION}`);
  const bin = join(folder, "node_modules/.bin");
  if (existsSync(bin)) return bin;
  const temp = `${folder}.${process.pid}`;
  mkdirSync(temp, { recursive: true });
  const options = ["--prefix", temp, "--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"];
  const install = Bun.spawn(["npm", "install", ...options, `pm2@${VERSION}`], { stdio: ["ignore", "pipe", "pipe"] });
  const [code, out, err] = await Promise.all([install.exited, install.stdout.text(), install.stderr.text()]);
  if (code !== 0) throw new Error(`npm install pm2 exited with ${code}:\n${out}${err}`);
  try {
    renameSync(temp, folder);
  } catch (error) {
    // Another test was quicker: its copy is as good.
    if (!existsSync(bin)) throw error;
    rmSync(temp, { recursive: true, force: true });
  }
  return bin;
}
