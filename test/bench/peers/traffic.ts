// A request every ten milliseconds, each on a connection of its own, whether or not the ones before were answered.
import { connectTo } from "../../fronts/relay/support/load-connection.ts";

/** Milliseconds from one request to the next. */
const EVERY = 10;
/** Milliseconds that an answer may take. */
const LIMIT = 5_000;

/** What came of the requests. Times are of `performance.now()`. */
export interface Seen {
  sent: number;
  failed: number;
  /** Why, and how many of them. */
  reasons: Record<string, number>;
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

/** The body of one answer. Rejects with why there was no good one. */
async function ask(port: number, path: string): Promise<string> {
  const connection = await connectTo(port);
  try {
    const request = `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`;
    const { status, body } = await connection.ask(request, LIMIT);
    if (status !== 200) throw new Error(`status ${status}`);
    return body.toString();
  } finally {
    connection.close();
  }
}

/** Starts it. */
export function traffic(port: number, path = "/"): Traffic {
  const seen: Seen = { sent: 0, failed: 0, reasons: {}, gap: 0 };
  const open = new Set<Promise<void>>();
  let last = performance.now();
  let wanted: { isWanted(body: string): boolean; found(at: number): void } | null = null;
  const fail = (error: Error & { code?: string }) => {
    const why = error.code ?? error.message;
    seen.failed++;
    seen.reasons[why] = (seen.reasons[why] ?? 0) + 1;
  };
  const count = (body: string) => {
    const now = performance.now();
    seen.gap = Math.max(seen.gap, now - last);
    last = now;
    if (wanted?.isWanted(body)) wanted.found(now);
  };
  const timer = setInterval(() => {
    seen.sent++;
    const one: Promise<void> = ask(port, path)
      .then(count, fail)
      .finally(() => open.delete(one));
    open.add(one);
  }, EVERY);
  const end = async () => {
    clearInterval(timer);
    await Promise.all(open);
    seen.gap = Math.max(seen.gap, performance.now() - last);
    return seen;
  };
  let over: Promise<Seen> | null = null;
  return {
    first(isWanted, within) {
      const { promise, resolve } = Promise.withResolvers<number>();
      const limit = setTimeout(() => resolve(Number.NaN), within).unref();
      wanted = { isWanted, found: resolve };
      return promise.finally(() => {
        clearTimeout(limit);
        wanted = null;
      });
    },
    stop: () => (over ??= end()),
  };
}
