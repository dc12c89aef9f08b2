// `dp notify`: whom dp tells, and what became of the messages.
import { EVENTS, type EventName } from "../contracts/notifier.ts";
import { appNames } from "../config/server.ts";
import { milliseconds } from "../config/duration.ts";
import { DpError } from "../errors.ts";
import { makeIo, silentLog } from "../host/io.ts";
import { starter } from "../host/who.ts";
import { withEvent, withoutTarget, withTarget, writeNotify, type Edited } from "../notify/edit.ts";
import { readNotify, requireTargetName } from "../notify/file.ts";
import { describeAttempt, notReached, sendTest, type Tried } from "../notify/once.ts";
import { callSender } from "../notify/post.ts";
import { lastLog, rowOf, type LogLine } from "../notify/queue.ts";
import { keepMutes, setUpSenderUser } from "../notify/service.ts";
import { notifyFolder, readMutes, type Mute, type Mutes } from "../notify/targets.ts";
import { clockText } from "../notify/text.ts";
import { openApp } from "../release/app.ts";
import { notifier } from "../registry.ts";
import { didYouMean } from "../text/suggestion.ts";
import { table, when } from "../text/table.ts";
import { watchFor } from "../watch/watching.ts";

/** A target, without its secrets. */
export interface TargetRow {
  name: string;
  kind: string;
  /** `hooks.slack.com/***`. */
  to: string;
  /** The events that it gets; null: the usual ones. */
  events: string[] | null;
  /** The apps that it is told about; null: all. */
  apps: string[] | null;
  /** The last line of the log about it; null: none. */
  last: LogLine | null;
  waiting: number;
  /** The next try, ISO 8601; null: nothing waits. */
  next: string | null;
}

export interface Notifying {
  targets: TargetRow[];
  /** Event -> the targets that get it besides the usual ones. */
  events: Record<string, string[]>;
  muted: { app: string | null; until: string; by: string; reason: string | null }[];
}

/** How many lines of the log are searched for the last message of a target. */
const SEARCHED = 2_000;
/** The longest mute, in ms. */
const LONGEST = 30 * 24 * 3_600_000;

const io = makeIo(silentLog);

/** The targets, with what waits for them, and the mutes. */
export async function notifying(): Promise<Notifying> {
  const { to, events } = (await readNotify()) ?? { to: {}, events: {} };
  const folder = notifyFolder();
  const lines = lastLog(folder, SEARCHED);
  const rows = Object.entries(to).map(async ([name, target]): Promise<TargetRow> => {
    const { kind, settings, events: own = null, apps = null } = target;
    const row = rowOf(folder, name);
    return {
      name,
      kind,
      to: (await notifier(kind)).place(settings),
      events: own,
      apps,
      last: lines.findLast((line) => line.target === name) ?? null,
      waiting: row.length,
      next: row[0] ? new Date(row[0].next).toISOString() : null,
    };
  });
  return { targets: await Promise.all(rows), events, muted: mutesNow(readMutes()) };
}

function mutesNow({ all, apps }: Mutes): Notifying["muted"] {
  const every: [string | null, Mute][] = [...(all ? [[null, all] as [null, Mute]] : []), ...Object.entries(apps)];
  return every
    .filter(([, { until }]) => Date.parse(until) > Date.now())
    .map(([app, { until, by, reason }]) => ({ app, until, by, reason }));
}

/** The same for people. */
export function notifyLines({ targets, events, muted }: Notifying): string[] {
  if (targets.length === 0) return ["nobody is told anything: dp notify add NAME KIND"];
  const now = Date.now();
  const rows = targets.map(({ name, kind, to, last, waiting, next }) => [
    ...[name, kind, to, last === null ? "-" : lastText(last, now)],
    waiting === 0 || next === null ? String(waiting) : `${waiting}, next try ${clockText(next, now)}`,
  ]);
  return [
    ...table(["NAME", "KIND", "TO", "LAST", "WAITING"], rows),
    ...Object.entries(events).map(([event, names]) => `${event} is told to ${names.join(", ")}`),
    ...muted.map(({ app, until, by, reason }) => {
      const why = reason === null ? "" : `: ${reason}`;
      return `${app ?? "everything"} is muted until ${clockText(until, now)} by ${by}${why}`;
    }),
  ];
}

const titleText = (title: string) => (title.length > 40 ? `${title.slice(0, 39)}…` : title);
const lastText = ({ time, title, end, said }: LogLine, now: number) =>
  `${clockText(time, now)} ${titleText(title)}: ${end === "sent" ? end : said}`;

/** Adds a target. Without `isUntested` it is kept only when a test arrived: throws DpError "command" otherwise. */
export async function addTarget(
  name: string,
  kind: string,
  values: Readonly<Record<string, string>>,
  isUntested: boolean,
): Promise<Tried | null> {
  requireTargetName(name);
  const keys = Object.keys((await notifier(kind)).keys);
  for (const key of Object.keys(values)) {
    if (keys.includes(key)) continue;
    throw new DpError("usage", `${kind} has no ${key}: it has ${keys.join(", ")}`, didYouMean(key, keys));
  }
  const edited = await withTarget(name, values);
  if (!isUntested) await setUpSenderUser(io);
  const tried = isUntested ? null : await sendTest(name, edited.targets.to[name]!);
  if (tried !== null && tried.attempt.end !== "sent") throw notReached(tried);
  await keep(edited);
  return tried;
}

async function keep({ text, targets }: Edited): Promise<void> {
  await writeNotify(text);
  await watchFor(targets, io);
}

/** Removes a target, and what waits for it. */
export async function removeTarget(name: string): Promise<void> {
  await keep(await withoutTarget(name));
  // It drops the row of a target that is gone.
  callSender();
}

/** Sends a test to one target, or to all. Throws DpError "usage" when there is none. */
export async function testTargets(name: string | undefined): Promise<Tried[]> {
  const to = (await readNotify())?.to ?? {};
  const names = name === undefined ? Object.keys(to) : [name];
  const unknown = names.find((each) => !Object.hasOwn(to, each));
  if (unknown !== undefined || names.length === 0) {
    const known = Object.keys(to);
    const hint = known.length > 0 ? `there is ${known.join(", ")}` : "dp notify add NAME KIND";
    throw new DpError(
      "usage",
      unknown === undefined ? "there is no target yet" : `there is no target ${JSON.stringify(unknown)}`,
      { hint },
    );
  }
  return Promise.all(names.map((each) => sendTest(each, to[each]!)));
}

/** `sent to team: 200 in 180 ms`. */
export const triedText = (tried: Tried): string =>
  tried.attempt.end === "sent"
    ? `sent to ${tried.name}: ${tried.attempt.said} in ${tried.took} ms`
    : describeAttempt(tried, tried.attempt.said);

/** The event and the targets in `deployed=team,game`. Throws DpError "usage". */
export function parseSetting(word: string): { event: EventName; names: string[] } {
  const at = word.indexOf("=");
  const event = at < 0 ? word : word.slice(0, at);
  const known = Object.keys(EVENTS);
  if (at < 0 || !known.includes(event))
    throw new DpError("usage", `${JSON.stringify(word)} is not EVENT=TARGET, such as deployed=team`, {
      hint: didYouMean(event, known).hint ?? `the events are ${known.join(", ")}`,
    });
  return {
    event: event as EventName,
    names: word
      .slice(at + 1)
      .split(",")
      .filter(Boolean),
  };
}

/** Sets who gets an event besides the usual ones. */
export const setEvent = async (event: EventName, names: readonly string[]): Promise<void> =>
  keep(await withEvent(event, names));

/** How long in words such as `shop 2h`, and the app; null: the whole server. Throws DpError "usage". */
export function parseMute(words: readonly string[]): { app: string | null; ms: number } {
  const [first = "", second] = words;
  const [app, text] = second === undefined ? [null, first] : [first, second];
  const ms = milliseconds(text);
  if (words.length <= 2 && ms !== null && ms > 0 && ms <= LONGEST) return { app, ms };
  throw new DpError("usage", `how long? ${JSON.stringify(text)} is not a time from 1s to 720h`, {
    hint: "dp notify mute [APP] 2h",
  });
}

/** Mutes an app, or everything, for `ms` from now. Throws DpError "usage" when there is no such app. */
export async function mute(app: string | null, ms: number, reason: string | null): Promise<Mute> {
  if (app !== null && !(await appNames()).includes(app)) await openApp(app);
  const now = Date.now();
  const mutes = await mutesOrError();
  const made: Mute = { until: new Date(now + ms).toISOString(), by: starter(), reason };
  if (app === null) mutes.all = made;
  else mutes.apps[app] = made;
  await keepMutes(mutes, now);
  return made;
}

/** Ends a mute; null: there was none. */
export async function unmute(app: string | null): Promise<Mute | null> {
  const mutes = await mutesOrError();
  const was = app === null ? mutes.all : (mutes.apps[app] ?? null);
  if (app === null) mutes.all = null;
  else delete mutes.apps[app];
  await keepMutes(mutes, Date.now());
  return was !== null && Date.parse(was.until) > Date.now() ? was : null;
}

async function mutesOrError(): Promise<Mutes> {
  if ((await readNotify()) === null)
    throw new DpError("usage", "nobody is told anything on this server", { hint: "dp notify add NAME KIND" });
  return readMutes();
}

/** The last lines of the log, oldest first. */
export const notifyLog = (count: number): LogLine[] => lastLog(notifyFolder(), count);

/** The same for people. */
export function logLines(lines: readonly LogLine[]): string[] {
  if (lines.length === 0) return ["no message yet"];
  const rows = lines.map(({ time, event, app, target, end, said, title }) => [
    ...[when(time), event, app ?? "-", target, end === "sent" ? `sent: ${said}` : `${end}: ${said}`, title],
  ]);
  return table(["TIME", "EVENT", "APP", "TARGET", "RESULT", "MESSAGE"], rows);
}
