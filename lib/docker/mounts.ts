// Folders of the server that a container can see: only those that deploy.yml shares between releases.
import { lstatSync } from "node:fs";
import { posix } from "node:path";
import { DpError } from "../errors.ts";
import { places } from "../paths.ts";
import { closeParents } from "../host/closed.ts";
import { mountsOf, namesOf } from "./container.ts";
import type { Image } from "./image.ts";
import type { InstanceName } from "../host/instance.ts";
import type { DeployConfig } from "../config/types.ts";

/** The folders and files that deploy.yml shares between releases, as paths below the app's `shared`. */
export const sharedPaths = ({ shared }: DeployConfig): string[] => [...(shared?.dirs ?? []), ...(shared?.files ?? [])];

/** A folder or file of the server, and where a container sees it. */
export interface Mount {
  source: string;
  target: string;
}

/**
 * The mounts of an instance's shared paths below the image's WORKDIR, made safe to mount. Throws DpError "command" or
 * "config".
 */
export async function mountsOfInstance(
  { app, user, config }: InstanceName & { user: string | undefined; config: DeployConfig },
  { Config }: Image,
): Promise<Mount[]> {
  const paths = sharedPaths(config);
  if (paths.length === 0) return [];
  const { shared } = places(app);
  // The engine resolves a path at every start, even at its own restarts, and follows links as root: a link in the path,
  // whenever it is made, would show the container any folder of the server.
  await closeParents(shared, paths, user);
  await requireApart(app, shared, paths);
  return paths.map((path) => {
    requireReal(shared, path);
    return { source: `${shared}/${path}`, target: posix.join("/", Config.WorkingDir, path) };
  });
}

/** The same as options of `docker create` and `docker run`. */
export const mountOptions = (mounts: readonly Mount[]) =>
  mounts.map(({ source, target }) => {
    const fields = ["type=bind", `source=${source}`, `target=${target}`];
    return `--mount=${fields.map(csvField).join(",")}`;
  });

// Only shared paths are mounted, not their neighbours, so no container can replace one by a link.
function requireReal(root: string, path: string): void {
  let at = root;
  for (const part of path.split("/")) {
    at += `/${part}`;
    const stat = lstatSync(at, { throwIfNoEntry: false });
    if (stat?.isDirectory() || stat?.isFile()) continue;
    const what = stat === undefined ? "is missing" : "is neither a file nor a folder";
    throw new DpError("command", `${at} ${what}, and cannot be mounted into a container`);
  }
}

const isInside = (inner: string, outer: string) => inner.startsWith(`${outer}/`);

// A container has root's rights in its mounts: with a whole folder mounted, it can make a link of a path inside that
// folder, which a release that shares less has mounted.
async function requireApart(app: string, root: string, paths: readonly string[]): Promise<void> {
  for (const { name, sources } of await mountsOf(await namesOf(app, false))) {
    for (const path of paths.map((each) => `${root}/${each}`)) {
      const other = sources.find((source) => isInside(source, path) || isInside(path, source));
      if (other === undefined) continue;
      throw new DpError("command", `${path} cannot be mounted into a container while ${name} runs with ${other}`, {
        hint: `dp stop ${app}, or share the same folders as before`,
      });
    }
  }
}

const csvField = (text: string) => (/[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
