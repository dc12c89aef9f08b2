// Folders of the server that a container sees: those that deploy.yml shares between releases, and no others.
import { lstatSync } from "node:fs";
import { posix } from "node:path";
import { DpError } from "../errors.ts";
import type { Instance } from "../manager.ts";
import { places } from "../paths.ts";
import type { Image } from "./image.ts";

/** Files and folders below the app's `shared`, as paths relative to it. */
export type SharedPaths = (instance: Instance) => readonly string[];

/** Options of `docker create` that show each shared path below the image's WORKDIR. */
export async function mountOptions(instance: Instance, { Config }: Image, shared = sharedPaths): Promise<string[]> {
  const { shared: root } = places(instance.app);
  const workdir = Config.WorkingDir || "/";
  return shared(instance).map((path) => {
    requireReal(root, path);
    const fields = ["type=bind", `source=${root}/${path}`, `target=${posix.join(workdir, path)}`];
    return `--mount=${fields.map(csvField).join(",")}`;
  });
}

// The engine follows links as root: one that a release left in shared/ would show it any folder of the server. What
// lies beside a shared path is not mounted, so that no container can make a link of it.
function requireReal(root: string, path: string): void {
  path.split("/").reduce((parent, part) => {
    const at = `${parent}/${part}`;
    const stat = lstatSync(at, { throwIfNoEntry: false });
    if (stat?.isDirectory() || stat?.isFile()) return at;
    const what = stat === undefined ? "is missing" : "is neither a file nor a folder";
    throw new DpError("command", `${at} ${what}, and cannot be shown to a container`);
  }, root);
}

const csvField = (text: string) => (/[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

const sharedPaths: SharedPaths = () => [];
