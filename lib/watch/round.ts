// One look over all apps and the machine: what is known after it, and what is news. It knows no clock, file or network.
import { anew, judge, type Tell, type Terms } from "./judge.ts";
import type { Sight } from "./sight.ts";
import type { Watch, Watched } from "./state.ts";

const MINUTE = 60_000;
/** After a longer pause between two looks (a suspended machine, a set clock) counting starts anew, in ms. */
const LATE = 5 * MINUTE;
/** Looks after a boot until that is told, when something has not come up. */
const BOOT_LOOKS = 2;

/** Something to tell. */
export type News =
  | { about: "app"; app: string; tell: Tell; after: Watched }
  | { about: "boot"; down: string[]; apps: number }
  | { about: "disk"; isLow: boolean; since: string };

/** What a look has found. */
export interface Found {
  /** In ms, as all times here. */
  now: number;
  took: number;
  boot: string;
  /** By app. */
  sights: Readonly<Record<string, Sight>>;
  /** "low": less free than there must be; "enough": twice that. */
  disk: "low" | "between" | "enough";
  remind?: number | undefined;
  /** What config.yml and the mutes say of an app. */
  terms(app: string): Pick<Terms, "down" | "isQuiet">;
  /** The whole server is muted. */
  isQuiet: boolean;
}

/** What is known after a look, and what is news. */
export function round(before: Watch | null, found: Found): { after: Watch; news: News[] } {
  const { now, took, boot, sights } = found;
  const isNewBoot = before !== null && before.boot !== boot;
  const booting = bootLooks(before, isNewBoot);
  const isSettled = Object.values(sights).every(({ kind }) => kind !== "bad" && kind !== "unknown");
  const isBootTold = booting !== null && (isSettled || booting >= BOOT_LOOKS);
  const isAnew = isNewBoot || (before !== null && isLate(before, now));
  const apps: Watch["apps"] = {};
  const news: News[] = [];
  for (const [app, sight] of Object.entries(sights)) {
    const past = before?.apps[app];
    const own = found.terms(app);
    // Until the boot is told, it is not known what comes up with it.
    const isQuiet = own.isQuiet || (booting !== null && !isBootTold);
    const terms: Terms = { now, remind: found.remind, down: booting === null ? own.down : undefined, isQuiet };
    const { after, tells } = judge(past && isAnew ? anew(past) : past, sight, terms);
    apps[app] = after;
    news.push(...tells.map((tell): News => ({ about: "app", app, tell, after })));
  }
  const disk = diskAfter(before?.disk ?? null, found, news);
  const after: Watch = { version: 1, at: new Date(now).toISOString(), took, boot, booting, apps, disk };
  if (!isBootTold) return { after, news };
  after.booting = null;
  return { after, news: found.isQuiet ? news : withBoot(news, apps) };
}

const bootLooks = (before: Watch | null, isNewBoot: boolean): number | null =>
  isNewBoot ? 1 : before === null || before.booting === null ? null : before.booting + 1;

function isLate(before: Watch, now: number): boolean {
  const gap = now - Date.parse(before.at);
  return gap > LATE || gap < -MINUTE;
}

/** One message about the boot takes the place of those about each app that did not come up with it. */
function withBoot(news: readonly News[], apps: Watch["apps"]): News[] {
  // One that was down before and is good now is told by itself, after its second good look.
  const down = Object.keys(apps).filter((app) => apps[app]!.state === "down" && apps[app]!.doubt === null);
  const others = news.filter((one) => !(one.about === "app" && one.tell.what === "down"));
  return [{ about: "boot", down, apps: Object.keys(apps).length }, ...others];
}

function diskAfter(before: Watch["disk"], { disk, now, isQuiet }: Found, news: News[]): Watch["disk"] {
  if (disk === "enough") {
    if (before?.told && !isQuiet) news.push({ about: "disk", isLow: false, since: before.since });
    // Muted: that it is over is told afterwards.
    return before?.told && isQuiet ? before : null;
  }
  if (disk === "between") return before;
  const known = before ?? { since: new Date(now).toISOString(), told: false };
  if (known.told || isQuiet) return known;
  news.push({ about: "disk", isLow: true, since: known.since });
  return { ...known, told: true };
}
