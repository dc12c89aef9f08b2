// The rollback target when none is named: one rule, for the rollback itself and for those who announce it.
import type { NamedApp } from "../contracts/app.ts";
import { commitOf, sequenceOf } from "../text/ids.ts";
import { goodReleases, isGoodRelease, momentOf, type Moment, type PastRun } from "./history.ts";
import { treeOf } from "../host/release-folder.ts";

/** The targets of `dp rollback`, and of `dp rollback --with-env` if that has the live release's own files. */
export interface Targets {
  /** The release that was live before. */
  previous: string | null;
  rollbackTarget: string | null;
  settingsTarget: string | null;
}

/**
 * The good release with older files than the live one's: the one that was live before, if it qualifies, otherwise the
 * newest of another commit, or of any. After a rollback the release that was live before is newer, so a second rollback goes further back.
 * `withEnv`: earlier settings of the same files count as well. Null: there is none.
 */
export async function rollbackTarget(app: NamedApp, live: string | null, withEnv = false): Promise<string | null> {
  if (live === null) return null;
  return chosen(app, live, { good: await goodReleases(app), previous: await app.previous() }, withEnv);
}

/** Both targets. Most often the release that was live before is the only one that is read for them. */
export async function targetsOf(app: NamedApp, live: string | null, moment?: Moment): Promise<Targets> {
  const previous = await app.previous();
  const { ids, held } = moment ?? (await momentOf(app));
  const isAlone = ids.every((id) => id === live);
  if (live === null || isAlone) return { previous, rollbackTarget: null, settingsTarget: null };
  const treeOfApp = (id: string) => treeOf(app.places.releases, id);
  const isOlder = previous !== null && sequenceOf(treeOfApp(previous)) < sequenceOf(treeOfApp(live));
  // It counts for both, and has no files of the live one's.
  if (isOlder && (await isGoodRelease(app, previous, held)))
    return { previous, rollbackTarget: previous, settingsTarget: null };
  const from = { good: await goodReleases(app, { ids, held }), previous };
  const settings = chosen(app, live, from, true);
  const isSame = settings !== null && treeOfApp(settings) === treeOfApp(live);
  return { previous, rollbackTarget: chosen(app, live, from, false), settingsTarget: isSame ? settings : null };
}

/** What a target is chosen from. */
interface Candidates {
  good: readonly PastRun[];
  previous: string | null;
}

function chosen(app: NamedApp, live: string, { good, previous }: Candidates, withEnv: boolean): string | null {
  const treeNumber = (id: string) => sequenceOf(treeOf(app.places.releases, id));
  const own = treeNumber(live);
  const isOlder = ({ id }: PastRun) =>
    treeNumber(id) < own || (withEnv && treeNumber(id) === own && sequenceOf(id) < sequenceOf(live));
  const older = good.filter(isOlder);
  if (older.some(({ id }) => id === previous)) return previous;
  older.sort((a, b) => treeNumber(a.id) - treeNumber(b.id) || sequenceOf(a.id) - sequenceOf(b.id));
  // The same commit, deployed once more, is no way back from it.
  const others = withEnv ? [] : older.filter(({ id }) => commitOf(id) !== commitOf(live));
  return (others.at(-1) ?? older.at(-1))?.id ?? null;
}
