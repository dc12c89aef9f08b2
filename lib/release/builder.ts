// Who builds an app, and where: a separate user with its own home, so that a build can change nothing that serves.
import { closeSync, lstatSync, readdirSync } from "node:fs";
import { chmod, chown, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { App, NamedApp } from "../contracts/app.ts";
import type { Io } from "../host/io.ts";
import { canTake } from "../host/ownership.ts";
import { isListedIn } from "../host/passwd.ts";
import { pipe } from "../host/process/libc.ts";
import { builderName, idsOf, makeSystemUser, userExists } from "../host/users.ts";
import { root } from "../paths.ts";

/** The folders of an app's builds. */
export function buildPlaces({ places }: NamedApp) {
  const folder = join(places.base, "build");
  // files: the operator's files for the home of every build. tmp: $TMPDIR.
  return { folder, files: join(folder, "files"), home: join(folder, "home"), tmp: join(folder, "tmp") };
}

/** Whether builds have a user of their own on this host. */
const hasBuilder = ({ server }: App) => root() === "" && canTake(server.user);

/** The build user; without one, the user that runs the app. */
export async function builderOf(app: App): Promise<string | undefined> {
  const builder = builderName(app.name);
  return hasBuilder(app) && userExists(builder) ? builder : app.server.user;
}

/** The app's environment for a build. */
export function buildEnvironment(
  app: NamedApp,
  env: Readonly<Record<string, string>>,
  builder: string | undefined,
): Record<string, string> {
  if (builder !== builderName(app.name)) return { ...env };
  const { home, tmp } = buildPlaces(app);
  return { ...env, HOME: home, TMPDIR: tmp };
}

/** Makes the user and the folders for builds, or corrects them; answers one sentence for each change. */
export async function setupBuilder(app: App, io: Io): Promise<string[]> {
  if (!hasBuilder(app)) return [];
  const { name, places, server } = app;
  const builder = builderName(name);
  const { folder, files, home, tmp } = buildPlaces(app);
  const [, gid] = await idsOf(server.user!);
  const isNew = await makeSystemUser(builder, home, io, [gid]);
  // The group lets the builder read what the app may read. The app's user may have changed since the last setup.
  if (!isListedIn(gid, builder)) {
    const groups = (await io.run(["id", "-G", builder], { quiet: true })).text.split(" ");
    if (!groups.includes(String(gid))) await io.run(["usermod", "-a", "-G", String(gid), builder], { quiet: true });
  }
  const ids = await idsOf(builder);
  const roots: [number, number] = [0, 0];
  for (const [path, mode, owner] of [
    [folder, 0o711, roots],
    [files, 0o700, roots],
    [home, 0o700, ids],
    [tmp, 0o700, ids],
  ] as const) {
    await mkdir(path, { recursive: true, mode });
    await chmod(path, mode);
    await chown(path, owner[0], owner[1]);
  }
  // node or a key may be in the app's home: the builder's group can pass through it, but not list it.
  if ((lstatSync(places.home).mode & 0o7777) === 0o700) await chmod(places.home, 0o710);
  return isNew ? [`made the system user ${builder}`] : [];
}

/**
 * The parts of the builder's home that outlive a deploy: caches, and nothing that a refused commit could make others
 * run.
 */
const CACHES = [".cache", ".npm", ".bun", ".yarn", ".node-gyp"];
/** The files taken from the app's home, unless the operator has put some into `files`. */
const KEYS = [
  ...[".ssh", ".netrc", ".gitconfig", ".git-credentials", ".npmrc", ".yarnrc", ".yarnrc.yml", ".bunfig.toml"],
  ...[".pip", ".config/pip", ".config/uv", ".config/git"],
];

/** Makes the builder's home anew for a deploy; answers the build user. Needs the app's lock. */
export async function readyBuilder(app: App, io: Io): Promise<string | undefined> {
  await setupBuilder(app, io);
  const { name, places, server } = app;
  const builder = await builderOf(app);
  if (builder !== builderName(name)) return builder;
  const { files, home, tmp } = buildPlaces(app);
  const remove = ["-exec", "rm", "-rf", "--one-file-system", "--", "{}", "+"];
  for (const [folder, kept] of [[home, CACHES] as const, [tmp, [] as string[]] as const]) {
    // Most builds leave nothing else there.
    if (readdirSync(folder).every((name) => kept.includes(name))) continue;
    const but = kept.flatMap((name) => ["!", "-name", name]);
    const argv = ["find", folder, "-mindepth", "1", "-maxdepth", "1", ...but, ...remove];
    await io.run(argv, { quiet: true, timeout: server.stepTimeout });
  }
  const own = readdirSync(files);
  const from = own.length > 0 ? { folder: files, names: own } : { folder: places.home, names: KEYS };
  const isThere = (path: string) => lstatSync(join(from.folder, path), { throwIfNoEntry: false }) !== undefined;
  const names = from.names.filter(isThere);
  if (names.length > 0) await copy({ ...from, names }, own.length > 0 ? undefined : server.user, home, builder, io);
  return builder;
}

// The owner reads and the future owner writes, so that a link in the app's home leads no further than the app's user
// may go.
async function copy(
  { folder, names }: { folder: string; names: readonly string[] },
  reader: string | undefined,
  to: string,
  writer: string,
  io: Io,
): Promise<void> {
  const [read, write] = pipe();
  const pack = io
    .run(["tar", "-c", "-f", "-", "-C", folder, "--", ...names], { user: reader, stdout: write, quiet: true })
    .finally(() => closeSync(write));
  const unpack = io
    .run(["tar", "-x", "-f", "-", "--no-same-owner", "-C", to], { user: writer, stdin: read, quiet: true })
    .finally(() => closeSync(read));
  for (const { status, reason } of (await Promise.allSettled([pack, unpack])) as PromiseRejectedResult[])
    if (status === "rejected") throw reason;
}
