// A release in a temp folder for the tests of app types, and folders that are removed at the end.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Place } from "../../lib/contracts/app-type.ts";
import { folderTree } from "../../lib/git/tree.ts";

const made: string[] = [];

/** A new temp folder that `cleanUp` removes. */
export async function scratch(mode = 0o755): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "dp-apps-"));
  await Bun.$`chmod ${mode.toString(8)} ${folder}`.quiet();
  made.push(folder);
  return folder;
}

/** Removes every scratch folder; for afterAll. */
export async function cleanUp(): Promise<void> {
  await Promise.all(made.splice(0).map((folder) => rm(folder, { recursive: true, force: true })));
}

/** Writes files below a folder. */
export async function writeFiles(folder: string, files: Record<string, string>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
}

/** A release of an app of a type: base and release folder exist, the tree is the release's folder. */
export async function releaseOf(
  type: string,
  files: Record<string, string>,
  variables: Record<string, string>,
  options: Partial<Place>,
): Promise<Place> {
  const base = options.base ?? (await scratch());
  const id = options.id ?? "1-aaaaaaa";
  const folder = join(base, "releases", id);
  const home = join(base, "home");
  await mkdir(folder, { recursive: true });
  await mkdir(home, { recursive: true });
  await writeFiles(folder, files);
  const config = { name: "app", type, healthCheck: "/", hooks: {} } as unknown as Place["config"];
  return {
    // What a build leaves running is known by app and release: another file's must not be ended with it.
    app: `app-${process.pid}`,
    id,
    base,
    release: folder,
    folder,
    config,
    tree: folderTree(folder),
    user: undefined,
    reader: undefined,
    opens: [],
    env: { ...variables, HOME: home, LANG: "C.UTF-8" },
    timeout: 240_000,
    ...options,
  };
}
