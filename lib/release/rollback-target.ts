// The rollback target when none is named: one rule, for the rollback itself and for those who announce it.
import type { NamedApp } from "../contracts/app.ts";
import { sequenceOf } from "../text/ids.ts";
import { goodReleases, type PastRun } from "./history.ts";
import { treeOf } from "../host/release-folder.ts";

/**
 * The good release with older files than the live one's: the one that was live before, if it qualifies, otherwise the
 * newest. After a rollback the release that was live before is newer, so a second rollback goes further back.
 * `withEnv`: earlier settings of the same files count as well. Null: there is none.
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

/** The release with the live one's own files that `dp rollback --with-env` takes for its settings, or null. */
export async function settingsTarget(app: NamedApp, live: string | null): Promise<string | null> {
  const to = await rollbackTarget(app, live, true);
  return to !== null && treeOf(app.places.releases, to) === treeOf(app.places.releases, live!) ? to : null;
}
