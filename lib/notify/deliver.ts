// The sender: takes what was posted into a row for each target, and works on all rows at once until nothing is left.
import { join } from "node:path";
import { EVENTS, type Attempt, type Happening, type Message } from "../contracts/notifier.ts";
import { tryLock } from "../host/lock.ts";
import { notifier } from "../registry.ts";
import { idOf, type Posted } from "./post.ts";
import {
  addLog,
  allDone,
  forgetOld,
  idsIn,
  isWaiting,
  keepDone,
  keepWaiting,
  pathsIn,
  readJson,
  removePosted,
  removeRow,
  removeWaiting,
  rowNames,
  rowOf,
  stalePosted,
  type Done,
  type LogLine,
  type Waiting,
} from "./queue.ts";
import { clockText, textOf } from "./text.ts";
import type { Target, Targets } from "./targets.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
/** The pauses between tries, in ms; the last one is repeated. */
const PAUSES = [SECOND, 5 * SECOND, 30 * SECOND, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR];
/** A pause is up to this share shorter or longer, so that not everybody comes back at once. */
const JITTER = 0.2;
const GIVEN_UP = 6 * HOUR;
/** How many messages a target gets in an hour, and the least pause between two. */
const HOURLY = 20;
const APART = SECOND;
/** How long one try may take. */
const LIMIT = 10 * SECOND;
/** A message that is older says when it was. */
const OLD = 10 * MINUTE;

/** The time, so that tests can let hours pass. */
export interface Clock {
  /** In ms. */
  now(): number;
  sleep(ms: number): Promise<void>;
  /** How long something takes by a real clock that takes `ms` by this one. */
  real(ms: number): number;
}

/** What a run of the sender works with. */
interface Delivery {
  folder: string;
  clock: Clock;
  targets(): Targets | null;
  done: Map<string, Done>;
}

/** Delivers until nothing is left. Returns at once when another sender is at work. */
export async function deliver(folder: string, clock: Clock): Promise<void> {
  const lock = tryLock(pathsIn(folder).lock);
  if (lock === null) return;
  const targets = () => readJson<Targets>(join(folder, "targets.json"));
  const delivery: Delivery = { folder, clock, targets, done: allDone(folder) };
  const working = new Map<string, Promise<void>>();
  const failures: unknown[] = [];
  try {
    for (;;) {
      await take(delivery);
      for (const target of rowNames(folder)) {
        if (working.has(target)) continue;
        const work = workOn(delivery, target).catch((error: unknown) => void failures.push(error));
        working.set(
          target,
          work.finally(() => working.delete(target)),
        );
      }
      await Promise.race([...working.values(), clock.sleep(SECOND)]);
      if (failures.length > 0) throw failures[0];
      if (working.size === 0 && idsIn(pathsIn(folder).posted).length === 0) break;
    }
    forgetOld(folder, clock.now());
    for (const name of stalePosted(folder, Date.now())) removePosted(folder, name);
  } finally {
    lock.release();
  }
}

/** Takes what was posted into the rows. Killed in between, it does so again: a message is in its row once. */
async function take({ folder, clock, targets, done }: Delivery): Promise<void> {
  for (const name of idsIn(pathsIn(folder).posted)) {
    const posted = readJson<Posted>(join(pathsIn(folder).posted, `${name}.json`));
    const known = targets()?.to ?? {};
    for (const target of (posted?.to ?? []).filter((each) => Object.hasOwn(known, each))) {
      const id = idOf(posted!.happening, target);
      if (done.has(id) || isWaiting(folder, target, id)) continue;
      const now = clock.now();
      await keepWaiting(folder, target, {
        id,
        happening: posted!.happening,
        since: now,
        tries: 0,
        next: now,
        said: "",
      });
    }
    removePosted(folder, `${name}.json`);
  }
}

/** Works on a row until it is empty. */
async function workOn(delivery: Delivery, name: string): Promise<void> {
  const { folder, clock, targets, done } = delivery;
  for (;;) {
    const row = rowOf(folder, name);
    const [first] = row;
    const target = targets()?.to[name];
    if (first === undefined || target === undefined) {
      for (const waiting of row) log(delivery, name, waiting, "dropped", "the target was removed");
      return removeRow(folder, name);
    }
    if (done.has(first.id)) {
      removeWaiting(folder, name, first.id);
      continue;
    }
    const free = roomAt(delivery, name);
    const wait = Math.max(first.next, free) - clock.now();
    if (wait > 0) {
      // Not longer than this at once: the target may be changed or removed meanwhile.
      await clock.sleep(Math.min(wait, MINUTE));
      continue;
    }
    await tryOnce(delivery, name, target, row.length > 1 && isCrowded(delivery, name) ? row : [first]);
  }
}

const sentLately = ({ done, clock }: Delivery, name: string): number[] =>
  [...done.values()]
    .filter(({ target, end, at }) => target === name && end === "sent" && clock.now() - at < HOUR)
    .map(({ at }) => at)
    .sort((a, b) => a - b);

/** When the target may get its next message. */
function roomAt(delivery: Delivery, name: string): number {
  const sent = sentLately(delivery, name);
  const last = (sent.at(-1) ?? 0) + APART;
  return sent.length < HOURLY ? last : Math.max(last, sent[sent.length - HOURLY]! + HOUR);
}

/** Whether the target has had nearly all of its hour: what waits then is told as one. */
const isCrowded = (delivery: Delivery, name: string) => sentLately(delivery, name).length >= HOURLY - 1;

/** One try with the first of the messages; of several it says only how many there are. */
async function tryOnce(delivery: Delivery, name: string, target: Target, some: readonly Waiting[]): Promise<void> {
  const [first, ...others] = some as [Waiting, ...Waiting[]];
  const head = `and ${some.length} more: dp notify log`;
  const whole: Happening = { ...first.happening, head, lines: [], hint: null };
  const attempt = await send(delivery, target, first.id, others.length === 0 ? first.happening : whole);
  const now = delivery.clock.now();
  const pause = PAUSES[Math.min(first.tries, PAUSES.length - 1)]! * (1 + JITTER * (2 * Math.random() - 1));
  const next = now + (attempt.end === "again" ? (attempt.after ?? pause) : 0);
  if (attempt.end === "again" && next - first.since <= GIVEN_UP) {
    const again = { ...first, tries: first.tries + 1, next, said: attempt.said };
    await keepWaiting(delivery.folder, name, again);
    return log(delivery, name, again, "tried", attempt.said);
  }
  for (const waiting of others) await end(delivery, name, waiting, attempt, "told as one");
  await end(delivery, name, first, attempt);
}

async function send({ clock }: Delivery, target: Target, id: string, happening: Happening): Promise<Attempt> {
  const kind = await notifier(target.kind);
  const limit = clock.real(LIMIT);
  return kind.send(target.settings, messageOf(id, happening, clock.now()), { limit, now: clock.now() });
}

/** The message of what has happened, as it is sent now. */
export function messageOf(id: string, happening: Happening, now: number): Message {
  const isUrgent = happening.event !== "test" && EVENTS[happening.event].isUrgent;
  const isOld = now - Date.parse(happening.time) > OLD;
  const text = textOf(happening) + (isOld ? `\n(this was at ${clockText(happening.time, now)})` : "");
  return { id, text, title: text.split("\n", 1)[0]!, isUrgent, happening };
}

async function end(
  delivery: Delivery,
  target: string,
  waiting: Waiting,
  attempt: Attempt,
  as: Done["end"] = "sent",
): Promise<void> {
  const { folder, clock, done } = delivery;
  const ended: Done = { target, end: attempt.end === "sent" ? as : "given up", at: clock.now() };
  // In memory first: on a full disk a message must not be sent again and again.
  done.set(waiting.id, ended);
  await keepDone(folder, waiting.id, ended).catch(() => undefined);
  log(delivery, target, waiting, ended.end, attempt.said);
  removeWaiting(folder, target, waiting.id);
}

function log({ folder, clock }: Delivery, target: string, waiting: Waiting, end: LogLine["end"], said: string): void {
  const { event, app, head } = waiting.happening;
  const time = new Date(clock.now()).toISOString();
  addLog(folder, { time, id: waiting.id, event, app, target, end, said, title: head });
}
