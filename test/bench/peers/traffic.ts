// A request every ten milliseconds, each on a connection of its own, whether or not the ones before were answered.
import { get } from "../timing.ts";

/** Milliseconds from one request to the next. */
const EVERY = 10;

/** What came of the requests. Times are of `performance.now()`. */
export interface Seen {
  sent: number;
  failed: number;
  /** The longest time without a good answer, in ms. */
  gap: number;
}

/** Requests that go on until they are stopped. */
export interface Traffic {
  /** When the first good answer with such a body came; NaN if there is none within that many ms. */
  first(isWanted: (body: string) => boolean, within: number): Promise<number>;
  /** Ends it when what is under way was answered. */
  stop(): Promise<Seen>;
}

/** Starts it. */
export function traffic(port: number, path = "/"): Traffic {
  const seen: Seen = { sent: 0, failed: 0, gap: 0 };
  const open = new Set<Promise<void>>();
  let last = performance.now();
  let wanted: { isWanted(body: string): boolean; found(at: number): void } | null = null;
  const count = (body: string | null) => {
    const now = performance.now();
    if (body === null) return void seen.failed++;
    seen.gap = Math.max(seen.gap, now - last);
    last = now;
    if (wanted?.isWanted(body)) wanted.found(now);
  };
  const timer = setInterval(() => {
    seen.sent++;
    const one: Promise<void> = get(port, path)
      .then(count)
      .finally(() => open.delete(one));
    open.add(one);
  }, EVERY);
  return {
    first(isWanted, within) {
      const { promise, resolve } = Promise.withResolvers<number>();
      const limit = setTimeout(() => resolve(Number.NaN), within);
      wanted = { isWanted, found: resolve };
      return promise.finally(() => {
        clearTimeout(limit);
        wanted = null;
      });
    },
    async stop() {
      clearInterval(timer);
      await Promise.all(open);
      seen.gap = Math.max(seen.gap, performance.now() - last);
      return seen;
    },
  };
}
