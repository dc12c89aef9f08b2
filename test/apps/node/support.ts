// What the tests of node apps share: a release in a temp folder, a log that is kept, registries that may need a certificate.
import { join } from "node:path";
import type { Place, Runtime } from "../../../lib/contracts/app-type.ts";
import { makeIo, silentLog, type Io } from "../../../lib/host/io.ts";
import { run } from "../../../lib/host/run.ts";
import type { Tree } from "../../../lib/git/tree.ts";
import { releaseOf } from "../release.ts";
import { nodeFolder } from "../../support/node-folder.ts";

export { cleanUp, scratch, writeFiles } from "../release.ts";

/** A commit that exists only in memory. */
export const memoryTree = (files: Record<string, string>): Tree => ({
  read: async (path) => files[path] ?? null,
  link: async () => null,
  list: async () => Object.keys(files).map((path) => ({ path, kind: "file" as const })),
});

/** The PATH of the tests: their own node and npm, then the system's programs. */
export const nodePath = async () => `${await nodeFolder()}/bin:/usr/bin:/bin`;

/** What a server whose registries need a certificate of its own hands to its apps; elsewhere nothing. */
export function handedOn(): Record<string, string> {
  const names = Object.keys(process.env).filter((name) =>
    /^(?:npm_config_|NPM_CONFIG_|NODE_EXTRA_CA|SSL_CERT_)/.test(name),
  );
  return Object.fromEntries(names.map((name) => [name, process.env[name]!]));
}

/** package.json's text, with what small means here. */
export const pkg = (more: Record<string, unknown> = {}) =>
  `${JSON.stringify({ name: "app", version: "1.2.3", private: true, ...more }, null, 2)}\n`;

/** A release of an app: base and release folder exist, the tree is the files as they were given. */
export const release = async (files: Record<string, string>, options: Partial<Place> = {}): Promise<Place> =>
  releaseOf("node", files, { ...handedOn(), PATH: await nodePath() }, { tree: memoryTree(files), ...options });

/** The place as the steps after install have it. */
export function after(place: Place, runtime: Runtime): Place {
  const PATH = [...runtime.path, place.env["PATH"]].join(":");
  return { ...place, env: { ...runtime.env, ...place.env, PATH } };
}

/** What a shell line prints in a release, with its runtime. */
export async function told(place: Place, runtime: Runtime, line: string): Promise<string> {
  const { env } = after(place, runtime);
  return (await run(["sh", "-c", line], { env, cwd: place.folder, user: place.user })).text;
}

/** What a package manager is, by its lock file. */
export const LOCKS = {
  ...{ npm: "package-lock.json", pnpm: "pnpm-lock.yaml", yarn: "yarn.lock", berry: "yarn.lock", bun: "bun.lock" },
} as const;
export type Kind = keyof typeof LOCKS;

/** An app that needs ms to run and is-number to be built, locked by a package manager; `more` of its package.json. */
export async function lockedApp(kind: Kind, more: Record<string, unknown> = {}): Promise<Record<string, string>> {
  const lock = await Bun.file(join(import.meta.dir, "../../fixtures/node", kind, LOCKS[kind])).text();
  const dependencies = { dependencies: { ms: "2.1.3" }, devDependencies: { "is-number": "7.0.0" } };
  return { "package.json": pkg({ ...dependencies, ...more }), [LOCKS[kind]]: lock };
}

/** An Io that really runs things, and keeps what was said and which programs were run. */
export function recorder(): { io: Io; infos: string[]; warnings: string[]; argvs: string[][] } {
  const [infos, warnings, argvs]: [string[], string[], string[][]] = [[], [], []];
  const io = makeIo({ ...silentLog, info: (text) => void infos.push(text), warn: (text) => void warnings.push(text) });
  const recorded: Io = {
    ...io,
    run: (argv, options) => {
      argvs.push([...argv]);
      return io.run(argv, options);
    },
  };
  return { io: recorded, infos, warnings, argvs };
}
