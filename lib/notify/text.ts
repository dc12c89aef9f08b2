// The words of a message: one text of at most 900 characters, plain, without secrets and without calls to anybody.
import { hostname } from "node:os";
import type { Happening } from "../contracts/notifier.ts";
import { shown } from "../text/text.ts";

const MOST = 900;
/** The longest a subject, a name or one line of an error may be. */
const SUBJECT = 80;
const LINE = 500;

/** This server's name in messages. */
export const serverName = (): string => shown(hostname());

/** Foreign text in a message: one line, nobody called by "@", no address with a query or a password. */
export function foreign(text: string, most = LINE): string {
  const plain = shown(text)
    .replaceAll(/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/@]*@/gi, "$1***@")
    .replaceAll(/\b(https?:\/\/[^\s?#]*)[?#]\S*/gi, "$1")
    .replaceAll("\t", " ")
    .trim();
  return middleOut(plain, most).replaceAll("@", "@\u200b");
}

/** A subject in quotes. */
export const subjectText = (subject: string): string => `"${foreign(subject, SUBJECT)}"`;

/** A text with its middle left out when it is too long: errors say what at their start, and why at their end. */
export function middleOut(text: string, most: number): string {
  const points = [...text];
  if (points.length <= most) return text;
  const [first, last] = [Math.ceil((most - 3) / 2), Math.floor((most - 3) / 2)];
  return `${points.slice(0, first).join("")} … ${points.slice(points.length - last).join("")}`;
}

/**
 * The whole text. The longest line between is cut, never the first line or the command. Of the commands only that of a
 * failed deploy has a line: the others are in the first line, or in the hint of a webhook.
 */
export function textOf({ event, head, lines, hint, server }: Happening): string {
  const first = middleOut(head, MOST / 2);
  const last = event === "failed" && hint !== null ? [`${hint}    on ${server}`] : [];
  const room = MOST - [first, ...lines.map(() => ""), ...last].join("\n").length;
  const longest = lines.toSorted((a, b) => b.length - a.length)[0] ?? "";
  const others = lines.reduce((sum, line) => sum + line.length, 0) - longest.length;
  const fitting = lines.map((line) => (line === longest ? middleOut(line, Math.max(20, room - others)) : line));
  return [first, ...fitting, ...last].join("\n");
}

/** The time of day by this server's clock, `12:04`; with the date when it is not today's. */
export function clockText(iso: string, now: number): string {
  const [then, today] = [new Date(iso), new Date(now)];
  const two = (number: number) => String(number).padStart(2, "0");
  const time = `${two(then.getHours())}:${two(then.getMinutes())}`;
  if (then.toDateString() === today.toDateString()) return time;
  return `${two(then.getMonth() + 1)}-${two(then.getDate())} ${time}`;
}

/** How long something took: `40 s`, `4 min`, `3 h`, `2 days`. */
export function spanWords(ms: number): string {
  const minutes = Math.round(ms / 60_000);
  if (minutes < 1) return `${Math.max(1, Math.round(ms / 1000))} s`;
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} days`;
}
