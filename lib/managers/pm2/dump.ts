// The dump of an app's pm2: what `pm2 resurrect` starts after a boot. Of dp's own exactly the enabled instance, and of
// anybody else's what they saved.
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

// By the app's user: the file lies in its folder, and may be a link to anywhere.
async function read(app: string, io: Io): Promise<Entry[]> {
  const script = 'if [ -f "$1" ]; then cat -- "$1"; fi';
  const argv = ["/bin/sh", "-c", script, "sh", homeOf(app).dump];
  const { text } = await io.run(argv, { user: ownerOf(app).user, quiet: true, check: false, keep: LONGEST });
  try {
    const entries: unknown = JSON.parse(text, (_, value: unknown) => value); // not deeper than it can be written
    return Array.isArray(entries) ? entries.filter((entry) => typeof entry === "object" && entry !== null) : [];
  } catch {
    return []; // none yet, or one that pm2 could not read either
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

/** As pm2 saves a process, but without the time of its first start, by which pm2 would no longer count its crashes. */
function entryOf({ pm2_env }: Listed): Entry {
  const { instances: _, pm_id: __, prev_restart_delay: ___, created_at: ____, ...entry } = pm2_env;
  return entry;
}

// What matters of an entry: pm2 gives each start a number of its own.
const essence = ({ name, env, args }: Entry) => JSON.stringify([name, args, { ...(env as object), unique_id: "" }]);

/** Makes it hold exactly those processes of dp's; answers whether it held others. */
export async function save(app: string, processes: readonly Listed[], io: Io): Promise<boolean> {
  const entries = await read(app, io);
  const own = entries.filter((entry) => isOwn(app, entry));
  const wanted = processes.map(entryOf);
  if (own.map(essence).sort().join() === wanted.map(essence).sort().join()) return false;
  await write(app, [...entries.filter((entry) => !isOwn(app, entry)), ...wanted], io);
  return true;
}

/** The instances of dp's that it names. */
export async function savedIds(app: string, io: Io): Promise<string[]> {
  const ids = (await read(app, io)).map(({ name }) => (typeof name === "string" ? idOfProcess(app, name) : null));
  return [...new Set(ids.filter((id) => id !== null))];
}

/** Whether it holds nothing at all. */
export const isEmpty = async (app: string, io: Io) => (await read(app, io)).length === 0;
