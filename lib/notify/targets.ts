// The targets as the sender and the poster read them: notify.yml, checked, with its secrets in their places. `dp notify`
// and each look write this file, so that a deploy reads no YAML and the sender not /root.
import { closeSync, constants, existsSync, fstatSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { EVENTS, type EventName, type Settings } from "../contracts/notifier.ts";
import { codeOf } from "../errors.ts";
import { root } from "../paths.ts";

export interface Target {
  kind: string;
  settings: Settings;
  /** The only events that it gets; missing: the usual ones. */
  events?: EventName[];
  /** The only apps that it gets; missing: all, and what is about the whole server. */
  apps?: string[];
}

export interface Targets {
  to: Record<string, Target>;
  /** Event -> the targets that get it besides. */
  events: Partial<Record<EventName, string[]>>;
  /** In ms. */
  remind?: number;
  heartbeat?: string;
}

/** What config.yml says of an app: its targets, or false: nothing is told of it. */
export type Wish = false | { to?: string[] | undefined } | undefined;

/** Nothing of one app, or of the whole server (`all`), is told until a time, ISO 8601. */
export interface Mute {
  until: string;
  by: string;
  reason: string | null;
}
export interface Mutes {
  all: Mute | null;
  apps: Record<string, Mute>;
}

/** The folder of the queue. Only dp's user writes into it; `new` and `own` in it are the sender's too. */
export const notifyFolder = () => `${root()}/var/lib/dp/notify`;

export const targetsFile = () => join(notifyFolder(), "targets.json");
export const mutesFile = () => join(notifyFolder(), "mutes.json");

/**
 * The text of a file that another user may have made, or null when there is none: never through a link, and never from a
 * pipe.
 */
export function readSafely(path: string): string | null {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ELOOP", "ENXIO"].includes(codeOf(error) ?? "")) return null;
    throw error;
  }
  try {
    return fstatSync(fd).isFile() ? readFileSync(fd, "utf8") : null;
  } finally {
    closeSync(fd);
  }
}

function parsed<T>(path: string): T | null {
  const text = readSafely(path);
  return text === null ? null : (JSON.parse(text) as T);
}

/** Whether anything is told to anybody. */
export const hasTargets = (): boolean => existsSync(targetsFile());

/** The targets; null: nothing is told to anybody. */
export const readTargets = (): Targets | null => parsed<Targets>(targetsFile());

/** What is muted. */
export const readMutes = (): Mutes => parsed<Mutes>(mutesFile()) ?? { all: null, apps: {} };

/** The mute that holds for an app now, or for the whole server (null). */
export function muteOf(mutes: Mutes, app: string | null, now: number): Mute | null {
  const own = app !== null && Object.hasOwn(mutes.apps, app) ? mutes.apps[app]! : null;
  return [mutes.all, own].find((mute) => mute !== null && Date.parse(mute.until) > now) ?? null;
}

/** The names of the targets that get an event, whether it is muted or not. */
export function targetsFor(targets: Targets, event: EventName, app: string | null, wish: Wish): string[] {
  if (wish === false) return [];
  return Object.entries(targets.to)
    .filter(([name, { events, apps }]) => {
      const wants = events?.includes(event) ?? EVENTS[event].isUsual;
      const isBesides = targets.events[event]?.includes(name) === true;
      const isOfApp = apps === undefined || (app !== null && apps.includes(app));
      return (wants || isBesides) && isOfApp && (wish?.to?.includes(name) ?? true);
    })
    .map(([name]) => name);
}
