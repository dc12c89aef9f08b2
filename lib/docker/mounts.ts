// Folders of the server that a container sees: those that deploy.yml shares between releases, and no others.
import { lstatSync } from "node:fs";
import { posix } from "node:path";
import type { DeployConfig } from "../config.ts";
import { DpError } from "../errors.ts";
import type { InstanceName } from "../manager.ts";
import { places } from "../paths.ts";
import type { Image } from "./image.ts";

/** The folders and files that deploy.yml shares between releases, as paths below the app's `shared`. */
export const sharedPaths = ({ shared }: DeployConfig): string[] => [...(shared?.dirs ?? []), ...(shared?.files ?? [])];

/** Options of `docker create` that show each shared path below the image's WORKDIR. Throws DpError "command". */
export function mountOptions({ app }: InstanceName, paths: readonly string[], { Config }: Image): string[] {
  const { shared } = places(app);
  return paths.map((path) => {
    requireReal(shared, path);
    const target = posix.join("/", Config.WorkingDir, path);
    const fields = ["type=bind", `source=${shared}/${path}`, `target=${target}`];
    return `--mount=${fields.map(csvField).join(",")}`;
  });
}

// The engine follows links as root: one that a release left in shared/ would show it any folder of the server. What
// lies beside a shared path is not mounted, so that no container can make a link of it.
function requireReal(root: string, path: string): void {
  let at = root;
  for (const part of path.split("/")) {
    at += `/${part}`;
    const stat = lstatSync(at, { throwIfNoEntry: false });
    if (stat?.isDirectory() || stat?.isFile()) continue;
    const what = stat === undefined ? "is missing" : "is neither a file nor a folder";
    throw new DpError("command", `${at} ${what}, and cannot be shown to a container`);
  }
}

const csvField = (text: string) => (/[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
