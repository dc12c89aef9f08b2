// What several servers say, on one screen: each answer as a whole, line by line, or log lines in order of their time.
import * as v from "valibot";
import { print, printJson, say } from "../text/say.ts";
import { inOrder } from "./log-order.ts";
import { appLineText, type AppLine } from "./logs.ts";

/** How it is shown. */
export interface Showing {
  /** Each line as it comes, for as long as somebody reads; otherwise each answer once it is there. */
  isStream: boolean;
  /** The lines are those of `dp logs --json`, and are put in order of time. */
  isTimed: boolean;
  /** How many of those are shown at most, counted from the end. */
  count: number;
  json: boolean;
}

/** What a server has answered. */
export interface Said {
  lines: readonly string[];
  code: number;
  /** Its last word, where it failed. */
  error: string | null;
}

/** Takes what the servers say. */
export interface Screen {
  /** Of a stream. */
  line(server: string, line: string): void;
  answer(server: string, said: Said): void;
  err(server: string, line: string): void;
  /** Shows what there is, and waits for nobody any more. */
  hurry(): void;
  close(): void;
}

const nothing = () => undefined;
const SILENT = { line: nothing, answer: nothing, hurry: nothing, close: nothing };

/** The screen for these servers. */
export function screenFor({ isStream, isTimed, count, json }: Showing, names: readonly string[]): Screen {
  const width = Math.max(...names.map((name) => name.length));
  const mark = (server: string) => `${server.padEnd(width)} | `;
  const show = (server: string, line: string) => print(`${mark(server)}${line}`);
  const screen = { ...SILENT, err: (server: string, line: string) => say(`${mark(server)}${line}`) };
  if (isTimed) {
    const printLine = ({ server, ...line }: Named) => {
      if (json) printJson({ server, ...line });
      else show(server, line.process === "" ? line.line : appLineText(line));
    };
    return { ...screen, ...(isStream ? following(count, printLine) : inTime(count, printLine)) };
  }
  if (isStream) return { ...screen, line: json ? withServer : show };
  if (json) return { ...screen, ...documents() };
  return { ...screen, answer: (server, { lines }) => lines.forEach((line) => show(server, line)) };
}

/** One list of all answers. */
function documents() {
  const all: { server: string; code: number; error: string | null; answer: unknown }[] = [];
  return {
    answer(server: string, { lines, code, error }: Said) {
      all.push({ server, code, error, answer: jsonIn(lines.join("\n")) ?? null });
    },
    close: () => printJson(all, 2),
  };
}

function withServer(server: string, line: string): void {
  const said = jsonIn(line);
  printJson({ ...(typeof said === "object" && said !== null ? said : { line }), server });
}

type Named = AppLine & { server: string; app: string };

/** Lines as they come; those that come within a moment of each other in order of time. */
function following(count: number, printLine: (line: Named) => void) {
  const order = inOrder(printLine, count);
  return { line: (server: string, line: string) => order.take(named(server, line)), close: () => order.end() };
}

/** The last lines of all servers in order of time; those of a server that comes late by themselves. */
function inTime(count: number, printLine: (line: Named) => void) {
  let all: Named[] = [];
  let isHurried = false;
  const flush = () => {
    all.sort((a, b) => momentOf(a) - momentOf(b));
    if (count > 0) all.slice(-count).forEach(printLine);
    all = [];
  };
  return {
    answer(server: string, { lines }: Said) {
      for (const line of lines) all.push(named(server, line));
      if (isHurried) flush();
    },
    hurry() {
      isHurried = true;
      flush();
    },
    close: flush,
  };
}

const momentOf = ({ time }: Named) => (time === null ? 0 : Date.parse(time));

const spoken = v.object({
  app: v.string(),
  time: v.nullable(v.pipe(v.string(), v.isoTimestamp())),
  process: v.string(),
  release: v.string(),
  line: v.string(),
});

/** A log line as the other dp prints it as JSON; anything else is shown as it is. */
function named(server: string, text: string): Named {
  const found = v.safeParse(spoken, jsonIn(text));
  return {
    server,
    ...(found.success ? found.output : { app: "", time: null, process: "", release: "", line: text }),
  };
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
