// The sites of the static server: one file for each started release, written by dp, read by the server.
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { codeOf } from "../../errors.ts";
import { readText, removeFile, writeFileAtomic } from "../../host/files.ts";
import { root } from "../../paths.ts";
import { isReleaseId } from "../../text/ids.ts";
import type { InstanceName } from "../../host/instance.ts";
import type { StaticSite } from "./settings.ts";

/** A served folder: `root` is below `release`, which only dp can replace. */
export interface Tree {
  release: string;
  root: string;
}

/** A release whose hashed assets are still available. */
export interface OlderTree extends Tree {
  /** ISO 8601. */
  until: string;
}

export interface Site extends InstanceName, Tree {
  host: string;
  port: number;
  options: Omit<StaticSite, "root" | "keepAssets">;
  older: OlderTree[];
  /**
   * Names of the commit's files that look hashed, if a build made the site; missing or null: nobody knows who chose the
   * names.
   */
  given?: string[] | null;
  /** Its start, ISO 8601. */
  since: string;
}

/** The folder with all input of the static server. It belongs to dp. */
export const staticFolder = () => `${root()}/var/lib/dp/static`;
/** The folder of the server's socket; it belongs to the server's user. */
export const runFolder = (folder: string) => join(folder, "run");
/** The files of the sites; dp writes them, the server reads them. */
const sitesFolder = (folder: string) => join(folder, "sites");

const fileOf = (folder: string, { app, id }: InstanceName) => join(sitesFolder(folder), `${app}@${id}.json`);

/** The instances with a site, of one app or of all. */
export async function siteNames(folder: string, app?: string): Promise<InstanceName[]> {
  const files = await readdir(sitesFolder(folder)).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  });
  return files.flatMap((file) => {
    const [, name, id] = /^([a-z0-9-]+)@([^@]+)\.json$/.exec(file) ?? [];
    return name && id && isReleaseId(id) && (app ?? name) === name ? [{ app: name, id }] : [];
  });
}

/** The site of an instance, or null; a damaged file counts as none. */
export async function readSite(folder: string, name: InstanceName): Promise<Site | null> {
  const text = await readText(fileOf(folder, name));
  try {
    return text === null ? null : (JSON.parse(text) as Site);
  } catch {
    return null;
  }
}

export async function writeSite(folder: string, site: Site): Promise<void> {
  await mkdir(sitesFolder(folder), { recursive: true, mode: 0o755 });
  // It contains no secret: only the served folder, and its address.
  await writeFileAtomic(fileOf(folder, site), `${JSON.stringify(site, null, 2)}\n`, 0o644);
}

/** Removes a site; false when there was none. */
export const removeSite = (folder: string, name: InstanceName): Promise<boolean> => removeFile(fileOf(folder, name));
