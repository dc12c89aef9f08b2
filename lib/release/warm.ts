// Old instances that keep running for a while after a switch, so that a rollback is only a switch, too.
import { join } from "node:path";
import type { NamedApp } from "../contracts/app.ts";
import { namesIn, readText, removeFile, writeFileAtomic } from "../host/files.ts";
import { isReleaseId } from "../text/ids.ts";
import { SELF, selfEnv } from "../host/self.ts";

const recordOf = ({ places }: NamedApp, id: string) => join(places.instances, `${id}.warm`);

/** Keeps an instance warm for `ms` from now; a process that outlives this one then stops it. */
export async function keepWarm(app: NamedApp, id: string, ms: number): Promise<void> {
  const until = Date.now() + ms;
  await writeFileAtomic(recordOf(app, id), `${new Date(until).toISOString()}\n`, 0o600);
  const script = 'sleep "$1"; shift; exec "$@"';
  const seconds = String(Math.ceil(ms / 1000) + 1);
  const argv = ["/bin/sh", "-c", script, "sh", seconds, ...SELF, "reconcile", app.name];
  Bun.spawn(argv, { cwd: "/", env: selfEnv(), stdio: ["ignore", "ignore", "ignore"], detached: true }).unref();
}

/** Ends an instance's permission to keep running. Safe to repeat. */
export async function coolDown(app: NamedApp, id: string): Promise<void> {
  await removeFile(recordOf(app, id));
}

/**
 * The instances of the app that may keep running although they are not live; `files`: the names in its folder `instances`,
 * when they were read already.
 */
export async function warmIds(app: NamedApp, files?: readonly string[]): Promise<string[]> {
  const warm: string[] = [];
  for (const file of files ?? (await namesIn(app.places.instances))) {
    const id = /^(.*)\.warm$/.exec(file)?.[1];
    if (id === undefined || !isReleaseId(id)) continue;
    const until = Date.parse((await readText(recordOf(app, id)))?.trim() ?? "");
    if (until > Date.now()) warm.push(id);
    else await coolDown(app, id);
  }
  return warm;
}
