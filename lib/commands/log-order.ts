// Lines of several processes, each with its own reader, put in order of time.

/** How long a line waits for earlier ones of other processes, in ms. */
const HOLD = 300;
/** The past of all processes is complete after QUIET ms without a new line, or after LONGEST ms at the latest. */
const QUIET = 400;
const LONGEST = 5_000;
/** The pause between two checks for lines that are due, in ms. */
const LOOK = 50;
/** The most lines that may wait. */
const MOST = 20_000;

interface Held<T> {
  line: T;
  /** Time of the line itself, in ms since 1970. */
  said: number;
  /** Time of arrival, in ms. */
  came: number;
}

/**
 * Hands lines on to `write` in order of time, if they arrive within a moment of each other. The first ones are the past
 * of all processes: only the last `first` of them are handed on.
 */
export function inOrder<T extends { time: string | null }>(write: (line: T) => void, first: number) {
  const began = performance.now();
  let held: Held<T>[] = [];
  let isPast = true;
  const flush = (count: number) => {
    for (const { line } of held.splice(0, count)) write(line);
  };
  const flushPast = () => {
    isPast = false;
    held.sort((a, b) => a.said - b.said);
    if (held.length > first) held = first === 0 ? [] : held.slice(-first);
    flush(held.length);
  };
  const look = () => {
    const now = performance.now();
    if (isPast) {
      const last = held.reduce((latest, { came }) => Math.max(latest, came), began);
      return now - last >= QUIET || now - began >= LONGEST ? flushPast() : undefined;
    }
    if (held.length === 0) return;
    const isDue = ({ came }: Held<T>) => now - came >= HOLD || held.length > MOST;
    const until = held.filter(isDue).reduce((latest, { said }) => Math.max(latest, said), -Infinity);
    held.sort((a, b) => a.said - b.said);
    flush(held.filter(({ said }) => said <= until).length);
  };
  const timer = setInterval(look, LOOK);
  return {
    take(line: T): void {
      held.push({ line, said: line.time === null ? Date.now() : Date.parse(line.time), came: performance.now() });
    },
    /** Hands on the lines that still wait. */
    end(): void {
      clearInterval(timer);
      if (isPast) return flushPast();
      held.sort((a, b) => a.said - b.said);
      flush(held.length);
    },
  };
}
