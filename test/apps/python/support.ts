// What the tests of Python apps share: a release in a temp folder, a log that is kept, uv when it is wanted.
import { dirname, join } from "node:path";
import type { Place } from "../../../lib/contracts/app-type.ts";
import { makeIo, silentLog, type Io } from "../../../lib/host/io.ts";
import { plainEnv, run } from "../../../lib/host/run.ts";
import type { Tree } from "../../../lib/git/tree.ts";
import { releaseOf, scratch } from "../release.ts";

export { cleanUp, scratch, writeFiles } from "../release.ts";

/** A commit that exists only in memory. */
export const memoryTree = (files: Record<string, string>, links: string[] = []): Tree => ({
  read: async (path) => files[path] ?? null,
  link: async (path) => (links.includes(path) ? "elsewhere" : null),
  list: async () => [
    ...Object.keys(files).map((path) => ({ path, kind: "file" as const })),
    ...links.map((path) => ({ path, kind: "symlink" as const })),
  ],
});

let found: Promise<string> | undefined;

/** The folder of the real python3 behind PATH (a pyenv shim is none), then the system's. */
export function pythonPath(): Promise<string> {
  found ??= run(["python3", "-c", "import sys; print(sys.executable)"]).then(
    ({ text }) => `${dirname(text)}:/usr/bin:/bin`,
  );
  return found;
}

/** What a server whose registries need a certificate of its own hands to its apps; elsewhere nothing. */
export function handedOn(): Record<string, string> {
  const names = Object.keys(process.env).filter((name) => /^(PIP_|UV_|SSL_CERT_|REQUESTS_CA)/.test(name));
  return Object.fromEntries(names.map((name) => [name, process.env[name]!]));
}

/** A release of an app: base and release folder exist, the tree is the release's folder. */
export const release = async (files: Record<string, string>, options: Partial<Place> = {}): Promise<Place> =>
  releaseOf("python", files, { ...handedOn(), PATH: await pythonPath() }, options);

/** An Io that really runs things, and keeps what was said and which programs were run. */
export function recorder(): { io: Io; infos: string[]; argvs: string[][] } {
  const infos: string[] = [];
  const argvs: string[][] = [];
  const io = makeIo({ ...silentLog, info: (text) => void infos.push(text) });
  const recorded: Io = {
    ...io,
    run: (argv, options) => {
      argvs.push([...argv]);
      return io.run(argv, options);
    },
  };
  return { io: recorded, infos, argvs };
}

let uv: Promise<string> | undefined;

/** A folder with a real uv in it; when PATH has none it is installed once in this process, by the pip of that python. */
export function uvFolder(python: () => Promise<string>): Promise<string> {
  uv ??= (async () => {
    const there = Bun.which("uv");
    if (there) return dirname(there);
    const folder = await scratch();
    const pip = [await python(), "-I", "-m", "pip", "install", "-q", "--no-compile", "--target", folder, "uv"];
    await run(pip, { env: { ...plainEnv(), ...handedOn() }, timeout: 240_000 });
    return join(folder, "bin");
  })();
  return uv;
}
