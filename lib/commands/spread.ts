// `--on`: the same command on several servers of an app at once; what they say, with their names before it.
import { DpError, EXIT } from "../errors.ts";
import { onReaderGone } from "../host/process/reader.ts";
import { openApp } from "../release/app.ts";
import { placesNamed, runAt, type Place } from "../servers/each.ts";
import { CUT } from "../servers/ssh.ts";
import { say } from "../text/say.ts";
import { screenFor, type Screen, type Showing } from "./spread-screen.ts";

/** A command that is typed for several servers. */
export interface Spread extends Showing {
  app: string;
  /** `all`, or names: `b,c`. */
  on: string;
  /** The command as dp takes it, without `--on`. */
  words: readonly string[];
}

/** A server that has not answered after so long is named, in ms: nobody else waits for it. */
const SLOW = 5_000;
/** An answer that takes longer, in ms, or that is larger, in characters, is none. */
const PATIENCE = 120_000;
const MOST = 16 * 1024 ** 2;

/**
 * Runs it on all of them; answers the exit code of the first that failed, "host" where one was not reached. Throws DpError
 * "usage" for a name that is no server's.
 */
export async function spread(wish: Spread): Promise<number> {
  const places = placesNamed(await openApp(wish.app), wish.on);
  const names = places.map(({ name }) => name);
  const screen = screenFor(wish, names);
  const { signal, close } = untilAsked();
  const waiting = new Set(names);
  const slow = setTimeout(() => {
    if (!wish.isStream) say(`dp: no answer yet from ${[...waiting].join(", ")}`);
    screen.hurry();
  }, SLOW);
  const ask = (place: Place) =>
    wish.isStream ? streamed(place, wish, screen, signal) : whole(place, wish, screen, signal);
  try {
    const codes = await Promise.all(places.map((place) => ask(place).finally(() => waiting.delete(place.name))));
    screen.close();
    if (signal.aborted) return EXIT[(signal.reason as DpError).exit];
    return codes.find((code) => code !== EXIT.ok) ?? EXIT.ok;
  } finally {
    clearTimeout(slow);
    close();
  }
}

/** Shows each line as it comes. */
async function streamed(place: Place, { app, words }: Spread, screen: Screen, signal: AbortSignal): Promise<number> {
  const { err, last } = hearing(place, screen);
  const code = await runAt(place, words, { out: (line) => screen.line(place.name, line), err }, signal);
  return told(place, app, code, last(), signal);
}

/** Shows the answer when it is there. */
async function whole(place: Place, { app, words }: Spread, screen: Screen, asked: AbortSignal): Promise<number> {
  const { err, last } = hearing(place, screen);
  const enough = new AbortController();
  const late = setTimeout(() => enough.abort(`has not answered within ${PATIENCE / 1000} s`), PATIENCE);
  let lines: string[] = [];
  let size = 0;
  const out = (line: string) => {
    size += line.length;
    if (size <= MOST) lines.push(line);
    else enough.abort(`has sent more than ${MOST / 1024 ** 2} MiB`);
  };
  const said = await runAt(place, words, { out, err }, AbortSignal.any([asked, enough.signal]));
  clearTimeout(late);
  const why = enough.signal.aborted ? String(enough.signal.reason) : null;
  if (why !== null) {
    say(`dp: ${place.name} ${why}`);
    lines = [];
  }
  const code = why === null ? told(place, app, said, last(), asked) : EXIT.host;
  screen.answer(place.name, { code, lines, error: code === EXIT.ok ? null : (why ?? last()) });
  return code;
}

/** Shows what it says on stderr, and keeps the last of it. */
function hearing({ name }: Place, screen: Screen) {
  let last = "";
  const err = (line: string) => {
    if (!/^\s*(?:→|$)/.test(line)) last = line;
    screen.err(name, line);
  };
  return { err, last: () => last };
}

/** Adds what only this side can know about a failure; answers the exit code. */
function told({ name, address }: Place, app: string, said: number, last: string, { aborted }: AbortSignal): number {
  const isCut = said === CUT && address !== null;
  if (aborted) return said;
  if (isCut) say(`dp: ${name} cannot be reached`);
  const [, holder, verb] = /^dp: ([a-z][a-z0-9-]*) may not (\w+)/.exec(said === EXIT.host ? last : "") ?? [];
  if (holder !== undefined && verb === "doctor")
    say(
      `  → no key may ask for that: dp -s ${name} doctor from your machine, or its address as root@... in config.yml`,
    );
  else if (holder !== undefined) say(`  → on ${name}, as root: dp keys allow ${holder} ${app} --role operate,server`);
  return isCut ? EXIT.host : said;
}

/** Ends at Ctrl-C, at a signal, and when nobody reads stdout any more. */
function untilAsked() {
  const stop = new AbortController();
  const end = (exit: "interrupted" | "terminated" | "hungUp") => () => stop.abort(new DpError(exit, exit));
  const handlers = { SIGINT: end("interrupted"), SIGTERM: end("terminated"), SIGHUP: end("hungUp") } as const;
  for (const [name, handler] of Object.entries(handlers)) process.once(name, handler);
  const look = onReaderGone(end("hungUp"));
  const close = () => {
    look();
    for (const [name, handler] of Object.entries(handlers)) process.off(name, handler);
  };
  return { signal: stop.signal, close };
}
