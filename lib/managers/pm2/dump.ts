// The dump of an app's pm2, which `pm2 resurrect` starts after a boot: exactly the enabled instance of dp's, and
// whatever others have saved.
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { removeFile, writeFileAtomic } from "../../host/files.ts";
import type { Io } from "../../host/io.ts";
import { places } from "../../paths.ts";
import { homeOf, idOfProcess, ownerOf } from "./home.ts";
import type { Listed } from "./listing.ts";

type Entry = Record<string, unknown> & { name?: unknown };
const LONGEST = 64 * 1024 * 1024;

const isOwn = (app: string, { name }: Entry) => typeof name === "string" && idOfProcess(app, name) !== null;

// Read as the app's user: the file lies in that user's folder, and may be a link to anywhere.
async function read(app: string, io: Io): Promise<Entry[]> {
  const script = 'if [ -f "$1" ]; then cat -- "$1"; fi';
  const argv = ["/bin/sh", "-c", script, "sh", homeOf(app).dump];
  const { text } = await io.run(argv, { user: ownerOf(app).user, quiet: true, check: false, keep: LONGEST });
  try {
    const entries: unknown = JSON.parse(text, (_, value: unknown) => value); // fails if nested too deep to write
    return Array.isArray(entries) ? entries.filter((entry) => typeof entry === "object" && entry !== null) : [];
  } catch {
    return []; // there is none, or pm2 could not read it either
  }
}

async function write(app: string, entries: Entry[], io: Io): Promise<void> {
  const { folder, dump } = homeOf(app);
  const temp = join(places(app).instances, "dump.pm2");
  await writeFileAtomic(temp, JSON.stringify(entries), 0o600);
  const stdin = openSync(temp, "r");
  try {
    const script = 'umask 077; mkdir -p "$1" && cat >"$2.new" && sync "$2.new" && mv -T -- "$2.new" "$2"';
    const argv = ["/bin/sh", "-c", script, "sh", folder, dump];
    await io.run(argv, { user: ownerOf(app).user, quiet: true, stdin });
  } finally {
    closeSync(stdin);
    await removeFile(temp);
  }
}

/**
 * The form in which pm2 saves a process, but without the time of its first start, which would keep pm2 from counting
 * crashes.
 */
function entryOf({ pm2_env }: Listed): Entry {
  const { instances: _, pm_id: __, prev_restart_delay: ___, created_at: ____, ...entry } = pm2_env;
  return entry;
}

// The parts of an entry that count: pm2 numbers each start.
const essence = ({ name, env, args }: Entry) => JSON.stringify([name, args, { ...(env as object), unique_id: "" }]);

/** Makes the dump contain exactly those processes of dp's; answers whether it had others. */
export async function save(app: string, processes: readonly Listed[], io: Io): Promise<boolean> {
  const entries = await read(app, io);
  const own = entries.filter((entry) => isOwn(app, entry));
  const wanted = processes.map(entryOf);
  if (own.map(essence).sort().join() === wanted.map(essence).sort().join()) return false;
  await write(app, [...entries.filter((entry) => !isOwn(app, entry)), ...wanted], io);
  return true;
}

/** The instances of dp's in the dump. */
export async function savedIds(app: string, io: Io): Promise<string[]> {
  const ids = (await read(app, io)).map(({ name }) => (typeof name === "string" ? idOfProcess(app, name) : null));
  return [...new Set(ids.filter((id) => id !== null))];
}

/** Whether the dump is empty. */
export const isEmpty = async (app: string, io: Io) => (await read(app, io)).length === 0;
