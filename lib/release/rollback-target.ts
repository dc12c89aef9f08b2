// The release that `dp rollback` takes when none is named: one rule, for whoever goes back and whoever says where to.
import type { NamedApp } from "../contracts/app.ts";
import { sequenceOf } from "../paths.ts";
import { goodReleases, type PastRun } from "./history.ts";
import { treeOf } from "../host/release-folder.ts";

/**
 * The good release of older files than the live one's: that which was live before, when it is one, else the newest. After
 * a rollback a newer one was live before, and the way goes on further back. `withEnv`: of the same files those with
 * settings from before count, too. Null: there is none.
 */
export async function rollbackTarget(app: NamedApp, live: string | null, withEnv = false): Promise<string | null> {
  if (live === null) return null;
  const treeNumber = (id: string) => sequenceOf(treeOf(app.places.releases, id));
  const isOlder = ({ id }: PastRun) =>
    treeNumber(id) < treeNumber(live) ||
    (withEnv && treeNumber(id) === treeNumber(live) && sequenceOf(id) < sequenceOf(live));
  const older = (await goodReleases(app)).filter(isOlder);
  const previous = await app.previous();
  if (older.some(({ id }) => id === previous)) return previous;
  return (
    older.sort((a, b) => treeNumber(a.id) - treeNumber(b.id) || sequenceOf(a.id) - sequenceOf(b.id)).at(-1)?.id ?? null
  );
}

/** The release of the live one's own files that `dp rollback --with-env` takes, for its settings, or null. */
export async function settingsTarget(app: NamedApp, live: string | null): Promise<string | null> {
  const to = await rollbackTarget(app, live, true);
  return to !== null && treeOf(app.places.releases, to) === treeOf(app.places.releases, live!) ? to : null;
}
