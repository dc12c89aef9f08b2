// The base folder of an app: its subfolders, with their modes and owners.
import { lstatSync, type Stats } from "node:fs";
import { chmod, chown, lstat, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { NamedApp } from "../contracts/app.ts";
import type { Drift } from "../contracts/check.ts";
import { makeBallast } from "../host/ballast.ts";
import { codeOf, DpError } from "../errors.ts";
import { idsOf } from "../host/users.ts";

/** The owner of a folder: dp, dp with read access for the app's user, or the app. */
type OwnerKind = "dp" | "group" | "app";

/** Folder -> mode and owner; the app can write only to its own. */
function plan({ places }: NamedApp): [path: string, mode: number, kind: OwnerKind][] {
  const { base, releases, runs, instances, shared, home, logs } = places;
  return [
    [base, 0o755, "dp"],
    [releases, 0o755, "dp"],
    // Other users must not read private dependencies.
    [join(base, "venvs"), 0o750, "group"],
    [join(base, "node"), 0o750, "group"],
    [instances, 0o751, "dp"],
    [runs, 0o700, "dp"],
    [join(base, "queue"), 0o700, "dp"],
    [logs, 0o750, "dp"],
    [shared, 0o750, "app"],
    // The builder's group can pass through: node may be in there.
    [home, 0o710, "app"],
  ];
}

// False when the name exists already, of whatever kind.
async function makeFolder(path: string, mode: number): Promise<boolean> {
  try {
    return (await mkdir(path, { recursive: true, mode })) !== undefined;
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
    return false;
  }
}

/** The uid and gid of each owner. */
async function ownersOf(user: string | undefined) {
  const own: [number, number] = [process.getuid!(), process.getgid!()];
  return { own, apps: user ? await idsOf(user) : own };
}

type Owners = Awaited<ReturnType<typeof ownersOf>>;

// Folders that containers see belong to root for good: see closed.ts.
function ownerOf({ places }: NamedApp, path: string, kind: OwnerKind, stat: Stats, owners: Owners): [number, number] {
  const isClosed = path === places.shared && stat.uid === 0 && stat.gid !== 0;
  return isClosed ? [0, owners.apps[1]] : newOwner(kind, owners);
}

function newOwner(kind: OwnerKind, { own, apps }: Owners): [number, number] {
  if (kind === "group") return [own[0], apps[1]];
  return kind === "app" ? apps : own;
}

/** How the base folder differs from what setup makes. Throws DpError "host" when the app's user is gone. */
export async function baseDrift(app: NamedApp, user: string | undefined): Promise<Drift[]> {
  const owners = await ownersOf(user);
  const wrong: Drift[] = [];
  const changed = (path: string, how: string) => wrong.push({ path, kind: "changed", what: `${path} ${how}` });
  for (const [path, mode, kind] of plan(app)) {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (!stat?.isDirectory()) {
      if (stat) wrong.push({ path, kind: "foreign", what: `${path} is not a folder` });
      else wrong.push({ path, kind: "missing", what: `${path} is missing` });
      continue;
    }
    const [uid, gid] = ownerOf(app, path, kind, stat, owners);
    if ((stat.mode & 0o7777) !== mode)
      changed(path, `has mode ${(stat.mode & 0o7777).toString(8)}, not ${mode.toString(8)}`);
    if (stat.uid !== uid || stat.gid !== gid) changed(path, `belongs to ${stat.uid}:${stat.gid}, not ${uid}:${gid}`);
  }
  return wrong;
}

/** Makes the folders, or corrects modes and owners; answers one sentence for each change. */
export async function setupBase(app: NamedApp, user: string | undefined): Promise<string[]> {
  const owners = await ownersOf(user);
  const changes: string[] = [];
  for (const [path, mode, kind] of plan(app)) {
    const made = await makeFolder(path, mode);
    const stat = await lstat(path);
    const [uid, gid] = made ? newOwner(kind, owners) : ownerOf(app, path, kind, stat, owners);
    if (!stat.isDirectory())
      throw new DpError("host", `${path} is not a folder`, { hint: `move it away: mv ${path} ${path}.old` });
    if ((stat.mode & 0o7777) !== mode) await chmod(path, mode);
    if (stat.uid !== uid || stat.gid !== gid) await chown(path, uid, gid);
    if (!made && ((stat.mode & 0o7777) !== mode || stat.uid !== uid || stat.gid !== gid))
      changes.push(`corrected mode and owner of ${path}`);
    else if (made && path === app.places.base) changes.push(`made ${path}`);
  }
  await makeBallast();
  return changes;
}
