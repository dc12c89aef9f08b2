// The messages that news make, and who gets each: many apps that turn at one look are one message.
import type { App } from "../contracts/app.ts";
import type { EventName, Happening } from "../contracts/notifier.ts";
import { urlOf } from "../deploy/log/screen.ts";
import { targetsFor, type Targets } from "../notify/targets.ts";
import type { News } from "./round.ts";
import { eventOf, ofApp, ofBoot, ofDisk, ofMany } from "./words.ts";

/** More apps than this that turn at one look give one message. */
const MANY = 3;

/** One message, the apps that it is about, and the names of the targets that get it. */
export interface Batch {
  happening: Happening;
  apps: string[];
  isDisk: boolean;
  to: string[];
}

/** What the messages say besides the news. */
export interface Context {
  now: number;
  boot: string;
  /** What the disk has left, in words. */
  left: string;
  targets: Targets;
  /** By name; null: its config.yml cannot be read. */
  apps: ReadonlyMap<string, App | null>;
}

type AppNews = Extract<News, { about: "app" }>;

/** The messages, in the order in which they are sent. */
export function batchesOf(news: readonly News[], context: Context): Batch[] {
  const { now, boot, left, targets } = context;
  const ofServer = (event: EventName, happening: Happening): Batch => {
    const to = targetsFor(targets, event, null, undefined);
    return { happening, apps: [], isDisk: event === "disk", to };
  };
  const found = news.flatMap((one) => {
    if (one.about === "boot") return [ofServer("boot", ofBoot(one, boot, now))];
    return one.about === "disk" ? [ofServer("disk", ofDisk(one, left, now))] : [];
  });
  const ofApps = news.filter((one) => one.about === "app");
  const turned = (what: string) => ofApps.filter(({ tell }) => tell.what === what);
  const others = ofApps.filter(({ tell }) => tell.what !== "down" && tell.what !== "up");
  found.push(...others.map((one) => single(one, toOf(one, context), context)));
  found.push(...grouped("down", turned("down"), context), ...grouped("up", turned("up"), context));
  return found;
}

const toOf = ({ app, tell }: AppNews, { targets, apps }: Context): string[] =>
  targetsFor(targets, eventOf(tell), app, apps.get(app)?.server.notify);

function single(one: AppNews, to: string[], { now, apps }: Context): Batch {
  const app = apps.get(one.app) ?? null;
  return { happening: ofApp(one, now, app && urlOf(app.server)), apps: [one.app], isDisk: false, to };
}

// For each target by the apps that it gets: of nine that are down it may be told about one.
function grouped(what: "down" | "up", turned: readonly AppNews[], context: Context): Batch[] {
  const wanted = turned.map((one) => ({ one, to: toOf(one, context) }));
  const names = [...new Set(wanted.flatMap(({ to }) => to))];
  const newsFor = (name: string) => wanted.filter(({ to }) => to.includes(name)).map(({ one }) => one);
  const crowded = names.filter((name) => newsFor(name).length > MANY);
  const bySame = Map.groupBy(crowded, (name) =>
    newsFor(name)
      .map(({ app }) => app)
      .join(),
  );
  const many = [...bySame.values()].map((same): Batch => {
    const news = newsFor(same[0]!);
    return { happening: ofMany(what, news, context.now), apps: news.map(({ app }) => app), isDisk: false, to: same };
  });
  const singles = wanted.map(({ one, to }) =>
    single(
      one,
      to.filter((name) => !crowded.includes(name)),
      context,
    ),
  );
  return [...many, ...singles];
}
