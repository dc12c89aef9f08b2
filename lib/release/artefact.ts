// The built files of a release on their way to another app: packed where they were proven, laid out where they go live.
import { closeSync, existsSync, lstatSync, openSync } from "node:fs";
import { basename, join } from "node:path";
import type { Runtime } from "../contracts/app-type.ts";
import type { App, NamedApp } from "../contracts/app.ts";
import type { DeployConfig } from "../config/types.ts";
import { namesIn, removeFile } from "../host/files.ts";
import type { Io } from "../host/io.ts";
import { accountWith } from "../host/passwd.ts";
import { treeOf } from "../host/release-folder.ts";
import { commitTree } from "../git/tree.ts";
import { fact, type Promotes } from "../pipeline/facts.ts";
import { factOf, load } from "../pipeline/run-file.ts";
import { appType } from "../registry.ts";
import { arrivalsOf, forgetArrived, isOld, makeArrivals } from "./arriving.ts";
import { appEnvironment } from "./environment.ts";
import { runFile, runsOf } from "./history.ts";
import { layOutPaths, unpack, type Laying } from "./lay-out.ts";
import { buildPlaceOf } from "./place.ts";

const NAME = /^[0-9a-f]{40,64}-[0-9a-f]{16}\.tar$/;

/** The path of files that were handed over. Throws for a name that dp did not give. */
function pathOf(app: NamedApp, name: string): string {
  if (!NAME.test(name)) throw new Error(`${JSON.stringify(name)} is no name of handed over files`);
  return join(arrivalsOf(app), name);
}

/** Paths below the release that belong to shared/: they are the app's own, and never handed over. */
function sharedPaths({ shared, root }: DeployConfig): string[] {
  if (shared === undefined) return [];
  return [...shared.dirs, ...shared.files].map((name) => (root === undefined ? name : join(root, name)));
}

/** The user who may read a release: a finished one belongs to root, who may do so because nobody else can change it. */
function ownerOf(tree: string): string | undefined {
  const { uid } = lstatSync(tree);
  return uid === 0 || process.getuid?.() !== 0 ? undefined : accountWith(uid)?.name;
}

/**
 * Why the files of a release cannot serve in another folder, or null when they can: some name their own folder, as the
 * programs of an environment or of pnpm do.
 */
export async function boundTo(app: App, id: string, io: Io): Promise<string | null> {
  const { releases, base } = app.places;
  const tree = join(releases, treeOf(releases, id));
  const how = { user: ownerOf(tree), cwd: tree, timeout: app.server.stepTimeout, quiet: true, check: false };
  const links = await io.run(["find", ".", "-type", "l", "-lname", `${base}/*`, "-print", "-quit"], how);
  const named = ["sh", "-c", 'grep -rlF --devices=skip -e "$1" . | head -n 1', "sh", `${base}/`];
  const first = links.text || (await io.run(named, how)).text;
  return first === "" ? null : `${first.replace(/^\.\//, "").split("\n", 1)[0]} names the folder of ${app.name}`;
}

/** Writes the files of a release as a tar archive into an open file. Throws DpError "command". */
export async function packRelease(app: App, id: string, config: DeployConfig, to: number, io: Io): Promise<void> {
  const { releases } = app.places;
  const tree = join(releases, treeOf(releases, id));
  const out = sharedPaths(config).map((path) => `--exclude=./${path}`);
  const argv = ["tar", "-c", "-f", "-", "--anchored", "--no-wildcards", ...out, "."];
  const how = { user: ownerOf(tree), cwd: tree, timeout: app.server.stepTimeout, quiet: true, stdout: to };
  await io.run(argv, how);
}

/** A new, empty file for what is handed over. Files that no run names any more are removed. */
export async function roomForFiles(app: App, sha: string): Promise<{ name: string; path: string }> {
  await makeArrivals(app);
  await removeHandedOver(app);
  const name = `${sha}-${crypto.randomUUID().replaceAll("-", "").slice(0, 16)}.tar`;
  return { name, path: pathOf(app, name) };
}

/** Removes handed over files whose run has ended or is live, and all that has come and that no run came for. */
export async function removeHandedOver(app: App): Promise<void> {
  await forgetArrived(app);
  const folder = arrivalsOf(app);
  const names = (await namesIn(folder)).filter((name) => NAME.test(name));
  if (names.length === 0) return;
  const [runs, live] = [await runsOf(app), await app.live()];
  for (const name of names) {
    const path = join(folder, name);
    const past = runs.find(({ run }) => factOf(run, "promotes", fact.promotes)?.files === name);
    if (past === undefined ? isOld(path) : past.run.result !== undefined || past.id === live) await removeFile(path);
  }
}

/** Removes the files that a run was handed. */
export async function dropFiles(app: NamedApp, { files }: Promotes): Promise<void> {
  if (files !== null) await removeFile(pathOf(app, files));
}

/**
 * Lays out the built files of the promoted release, into an empty folder. Answers its runtime if that is usable here, or
 * one sentence that says why the release is built from the commit; the folder may then hold anything.
 */
export async function adopt(laying: Laying, promotes: Promotes, io: Io): Promise<{ runtime: Runtime | null } | string> {
  const { app, sha, release } = laying;
  const config = factOf(await load(runFile(app, basename(release))), "config", fact.config);
  const type = await appType(config.type);
  if (promotes.files === null) return promotes.why ?? "its files were not handed over";
  if (type.adopt === undefined) return `apps of type ${config.type} are built where they run`;
  const path = pathOf(app, promotes.files);
  if (!existsSync(path)) return "its files are not here any more";
  const archive = openSync(path, "r");
  await unpack(archive, laying, io).finally(() => closeSync(archive));
  // What the commit has at shared paths: the first deploy moves it into shared/.
  const all = (await commitTree(app.places.repo, sha, io.signal).list()).map((entry) => entry.path);
  const shared = sharedPaths(config).filter((name) => all.some((one) => one === name || one.startsWith(`${name}/`)));
  if (shared.length > 0)
    await layOutPaths(
      laying,
      shared.map((name) => `:(literal)${name}`),
      io,
    );
  const { app: from, id, server, interpreter } = promotes;
  const place = await buildPlaceOf({ app, sha, config, release }, await appEnvironment({ app, sha, release }), io);
  return type.adopt(place, { app: from, id, isHere: server === null, interpreter }, io);
}
