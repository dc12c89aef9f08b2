// The base folder of an app: who may read and write what.
import { chmod, chown, lstat, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { makeBallast } from "../ballast.ts";
import { codeOf, DpError } from "../errors.ts";
import { places } from "../paths.ts";
import { idsOf } from "./users.ts";

/** Folder -> mode, and whether it belongs to the app's user; all others belong to dp, and the app cannot write them. */
function plan(app: string): [path: string, mode: number, isApps: boolean][] {
  const { base, releases, runs, instances, shared, home, logs } = places(app);
  return [
    [base, 0o755, false],
    [releases, 0o755, false],
    [join(base, "venvs"), 0o755, false],
    [instances, 0o751, false],
    [runs, 0o700, false],
    [join(base, "queue"), 0o700, false],
    [logs, 0o750, false],
    [shared, 0o750, true],
    [home, 0o700, true],
  ];
}

// False when there is something of that name already, whatever it is.
async function makeFolder(path: string, mode: number): Promise<boolean> {
  try {
    return (await mkdir(path, { recursive: true, mode })) !== undefined;
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
    return false;
  }
}

/** Makes the folders, or puts modes and owners right; answers one sentence for each change. */
export async function setupBase(app: string, user: string | undefined): Promise<string[]> {
  const owner: [number, number] = [process.getuid!(), process.getgid!()];
  const apps = user ? await idsOf(user) : owner;
  const { shared } = places(app);
  const changes: string[] = [];
  for (const [path, mode, isApps] of plan(app)) {
    const made = await makeFolder(path, mode);
    const stat = await lstat(path);
    // What containers are shown has been taken from the app for good: see closed.ts.
    const isClosed = path === shared && !made && stat.uid === 0 && stat.gid !== 0;
    const [uid, gid] = isClosed ? [0, apps[1]] : isApps ? apps : owner;
    if (!stat.isDirectory())
      throw new DpError("host", `${path} is no folder`, { hint: `move it away: mv ${path} ${path}.old` });
    if ((stat.mode & 0o7777) !== mode) await chmod(path, mode);
    if (stat.uid !== uid || stat.gid !== gid) await chown(path, uid, gid);
    if (!made && ((stat.mode & 0o7777) !== mode || stat.uid !== uid))
      changes.push(`put mode and owner of ${path} right`);
    else if (made && path === places(app).base) changes.push(`made ${path}`);
  }
  await makeBallast();
  return changes;
}
