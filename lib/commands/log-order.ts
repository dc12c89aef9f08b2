// Lines of several processes, each heard by a reader of its own, put in the order of their times.

/** How long a line waits for an earlier one of another process, in ms. */
const HOLD = 300;
/** What there is already comes at once: it has ended when nothing came for so long, in ms; and then at the latest. */
const QUIET = 400;
const LONGEST = 5_000;
/** How often it is looked whether lines are due, in ms. */
const LOOK = 50;
/** More than these do not wait. */
const MOST = 20_000;

interface Held<T> {
  line: T;
  /** When it was said, in ms since 1970. */
  said: number;
  /** When it came, in ms. */
  came: number;
}

/**
 * Hands lines on to `write` in the order of their times, as far as they come within a moment of each other. The first
 * that come are the past of all processes: the last `first` of them are handed on.
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
    /** Hands on what still waits. */
    end(): void {
      clearInterval(timer);
      if (isPast) return flushPast();
      held.sort((a, b) => a.said - b.said);
      flush(held.length);
    },
  };
}
