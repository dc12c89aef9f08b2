// The contract of a kind of notification: how a message reaches Slack, a mailbox, a program.
import type { ObjectEntries } from "valibot";

/** The events that dp tells. `isUsual`: told without being asked for; `isUrgent`: something is wrong right now. */
export const EVENTS = {
  failed: { isUsual: true, isUrgent: true },
  recovered: { isUsual: true, isUrgent: false },
  deployed: { isUsual: false, isUrgent: false },
  down: { isUsual: true, isUrgent: true },
  up: { isUsual: true, isUrgent: false },
  process: { isUsual: true, isUrgent: false },
  cron: { isUsual: true, isUrgent: false },
  disk: { isUsual: true, isUrgent: false },
  certificate: { isUsual: true, isUrgent: false },
  boot: { isUsual: true, isUrgent: false },
  watch: { isUsual: true, isUrgent: false },
} as const;

export type EventName = keyof typeof EVENTS;

/** What has happened, as it waits in the queue; what does not apply is null. Times are ISO 8601. */
export interface Happening {
  /** "test": `dp notify test`. */
  event: EventName | "test";
  app: string | null;
  /** The run, or the start of the trouble: with event and app it identifies what has happened. */
  key: string;
  server: string;
  time: string;
  /** The first line. */
  head: string;
  /** The lines between, at most a few; the longest is cut when the text is too long. */
  lines: string[];
  /** The command to type. */
  hint: string | null;
  url: string | null;
  run: string | null;
  release: string | null;
  step: string | null;
  subject: string | null;
  by: string | null;
  error: string | null;
  since: string | null;
}

/** A message for one target. */
export interface Message {
  /** The same for every try. */
  id: string;
  /** The whole text, at most 900 characters of plain text. */
  text: string;
  /** Its first line. */
  title: string;
  isUrgent: boolean;
  happening: Happening;
}

/**
 * How a try ended, and what to say of it: a status or an errno, never an address or the answer's text. "again": it may
 * succeed later, in `after` ms at the earliest.
 */
export type Attempt = { end: "sent" | "never"; said: string } | { end: "again"; said: string; after?: number };

/** What a try may use. */
export interface Line {
  /** How long it may take, in ms. */
  limit: number;
  /** The user that programs run as; undefined: the one that runs this. */
  user?: string | undefined;
  /** The time, in ms. */
  now: number;
}

/** The settings of a target, as in notify.yml, with the texts of `{file: …}` in their places. */
export type Settings = Readonly<Record<string, string>>;

export interface Notifier {
  readonly name: string;
  readonly summary: string;
  /** The keys of a target in notify.yml; the first is named like the kind. */
  readonly keys: ObjectEntries;
  /** What `dp notify add` asks for, by key: the words of the question, and whether an empty answer is allowed. */
  readonly asks: Readonly<Record<string, { question: string; isOptional?: boolean }>>;
  /** The keys whose values are secret: they are never shown, and may be `{file: PATH}`. */
  readonly secrets: readonly string[];
  /** What is wrong between the keys, in words; null: nothing. */
  problem?(settings: Readonly<Record<string, unknown>>): string | null;
  /** Where the messages go, without secrets: `hooks.slack.com/***`. */
  place(settings: Settings): string;
  /** One try. Never throws for what the other side does. */
  send(settings: Settings, message: Message, line: Line): Promise<Attempt>;
}
