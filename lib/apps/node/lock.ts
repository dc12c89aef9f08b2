// The package manager of an app, from packageManager or its lock file, and its version.
import { DpError } from "../../errors.ts";
import { readCommitted } from "../../git/committed.ts";
import type { Tree } from "../../git/tree.ts";
import type { Package } from "./package.ts";

/** A package manager; yarn since version 2 is a different program from yarn 1, and is called berry here. */
export type Kind = "npm" | "pnpm" | "yarn" | "berry" | "bun";

/** The package manager that installs an app. */
export interface PackageManager {
  kind: Kind;
  /** The command's name: "yarn" for berry, too. */
  name: "npm" | "pnpm" | "yarn" | "bun";
  /** The exact version in packageManager; null without one. */
  pinned: string | null;
  /** The hash after that version, `sha512.…`, or null. */
  hash: string | null;
  /** The versions that can read the lock file, as a semver range. */
  range: string;
  /** The version or range to fetch when none is installed. */
  fetch: string;
  lock: { path: string; text: string } | null;
  /** A warning about several lock files. */
  warning: string | null;
}

// In order of preference when there are several: npm's lock may result from one accidental `npm install`; the others do
// not.
export const LOCKS = [
  ["pnpm-lock.yaml", "pnpm"],
  ["yarn.lock", "yarn"],
  ["bun.lock", "bun"],
  ["bun.lockb", "bun"],
  ["npm-shrinkwrap.json", "npm"],
  ["package-lock.json", "npm"],
] as const;

const PINNED = /^(npm|pnpm|yarn|bun)@(\d+\.\d+\.\d+(?:-[\w.]+)?)(?:\+([\w.-]+))?$/;

const HASH = /^sha(?:1|224|256|384|512)\.[0-9a-f]+$/;

function parsePinned(text: string): { name: PackageManager["name"]; version: string; hash: string | null } {
  const [, name, version, hash] = PINNED.exec(text) ?? [];
  if (hash !== undefined && !HASH.test(hash))
    throw new DpError("config", `package.json: the hash of packageManager, ${hash}, is not one that dp can check`, {
      hint: `corepack use ${name}@${version} writes the right one`,
    });
  if (name !== undefined && version !== undefined)
    return { name: name as PackageManager["name"], version, hash: hash ?? null };
  throw new DpError("config", `package.json: packageManager ${JSON.stringify(text)} is not NAME@VERSION`, {
    hint: 'write one such as "pnpm@10.34.1"; dp knows npm, pnpm, yarn and bun',
  });
}

/**
 * The package manager of a commit. If there are several lock files, that of packageManager counts, otherwise the first
 * of pnpm, yarn, bun, npm, with a warning. Throws DpError "config" when no lock file fits packageManager.
 */
export async function readPackageManager(tree: Tree, pkg: Package | null): Promise<PackageManager> {
  const paths = new Set((await tree.list()).map((entry) => entry.path));
  const locks = LOCKS.filter(([path]) => paths.has(path));
  const pinned = pkg?.packageManager === undefined ? null : parsePinned(pkg.packageManager);
  const fitting = pinned ? locks.filter(([, name]) => name === pinned.name) : locks;
  if (pinned && locks.length > 0 && fitting.length === 0) {
    throw new DpError(
      "config",
      `package.json has packageManager ${pinned.name}, but the lock file is ${locks[0]![0]}`,
      {
        hint: `${pinned.name} install, commit its lock file, remove ${locks[0]![0]}, push`,
      },
    );
  }
  const [path, byLock] = fitting[0] ?? [null, "npm" as const];
  const why = pinned ? "as packageManager says" : "choose one in package.json: packageManager";
  const isSeveral = new Set(locks.map(([, name]) => name)).size > 1;
  const warning = isSeveral ? `${locks.map(([lock]) => lock).join(" and ")}: ${path} is used, ${why}` : null;
  const name = pinned?.name ?? byLock;
  // bun.lockb is binary: only its existence counts.
  const lock =
    path === null ? null : { path, text: path === "bun.lockb" ? "" : ((await readCommitted(tree, path)) ?? "") };
  const { kind, range, fetch } = versions(name, lock?.text ?? "", pinned?.version ?? null);
  return { kind, name, pinned: pinned?.version ?? null, hash: pinned?.hash ?? null, range, fetch, lock, warning };
}

function versions(
  name: PackageManager["name"],
  lock: string,
  pinned: string | null,
): Pick<PackageManager, "kind" | "range" | "fetch"> {
  if (name === "pnpm") return { kind: "pnpm", ...ofPnpm(/^lockfileVersion: '?(\d+)/m.exec(lock)?.[1]) };
  if (name !== "yarn") return { kind: name, range: "*", fetch: "latest" };
  const berry = /^__metadata:\n {2}version: (\d+)/m.exec(lock)?.[1];
  const isBerry = pinned === null ? berry !== undefined : !pinned.startsWith("1.");
  if (!isBerry) return { kind: "yarn", range: "1", fetch: "1" };
  return berry !== undefined && Number(berry) < 8
    ? { kind: "berry", range: "3", fetch: "3" }
    : { kind: "berry", range: ">=4", fetch: "4" };
}

// A pnpm lock names its format; older formats can be read only by older versions.
function ofPnpm(format: string | undefined): Pick<PackageManager, "range" | "fetch"> {
  if (format === undefined || Number(format) >= 9) return { range: ">=9", fetch: "10" };
  return format === "6" ? { range: "8", fetch: "8" } : { range: ">=6 <8", fetch: "7" };
}
