// Clients that note which release answered when: whether the traffic moved in order, and to whom.
import { codeOf, messageOf } from "../../lib/errors.ts";
import { connectTo, type Connection } from "../fronts/relay/support/load-connection.ts";

/** One answer; times in ms of one clock. */
interface Seen {
  from: number;
  to: number;
  status: number;
  /** Who answered: the body. */
  by: string;
}

/** What the clients saw. */
export interface Watched {
  requests: number;
  /** Why requests had no answer, or one that is not 200. */
  failures: string[];
  /** The releases in the order of their first answers. */
  releases: string[];
  /** Answers of a release that came after a newer one had answered before they were even asked. */
  late: string[];
}

export interface Watch {
  stop(): Promise<Watched>;
  /** Resolves when a release has answered. */
  until(release: string): Promise<void>;
}

const PAUSE = 15;
const TIMEOUT = 30_000;

/** Watches who answers GET / on a port: half of the clients keep their connection, half connect anew. */
export function watch(port: number, clients = 4): Watch {
  const seen: Seen[] = [];
  const failures: string[] = [];
  const waiting = new Map<string, () => void>();
  let isStopping = false;

  async function ask(connection: Connection, keeps: boolean): Promise<boolean> {
    const from = performance.now();
    const close = keeps ? "" : "Connection: close\r\n";
    const answer = await connection.ask(`GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${close}\r\n`, TIMEOUT);
    const by = answer.body.toString();
    seen.push({ from, to: performance.now(), status: answer.status, by });
    if (answer.status !== 200) failures.push(`${answer.status} ${by.trim()}`);
    waiting.get(by)?.();
    return keeps && !answer.isClosing;
  }

  async function client(keeps: boolean): Promise<void> {
    let connection: Connection | null = null;
    while (!isStopping) {
      try {
        if (connection === null || connection.isClosed()) connection = await connectTo(port);
        if (await ask(connection, keeps)) await Bun.sleep(PAUSE);
        else {
          connection.close();
          connection = null;
        }
      } catch (error) {
        failures.push(codeOf(error) ?? messageOf(error));
        connection?.close();
        connection = null;
      }
      await Bun.sleep(PAUSE);
    }
    connection?.close();
  }

  const running = Array.from({ length: clients }, (_, at) => client(at % 2 === 0));
  return {
    until(release) {
      if (seen.some(({ by }) => by === release)) return Promise.resolve();
      return new Promise((resolve) => waiting.set(release, resolve));
    },
    async stop() {
      isStopping = true;
      await Promise.all(running);
      const good = seen.filter(({ status }) => status === 200);
      return { requests: seen.length + failures.length, failures, ...inOrder(good) };
    },
  };
}

/** The order in which releases came to answer, and the answers that break it. */
export function inOrder(seen: readonly Pick<Seen, "from" | "to" | "by">[]): Pick<Watched, "releases" | "late"> {
  const releases: string[] = [];
  const late: string[] = [];
  const first = new Map<string, number>();
  for (const { by, to } of seen.toSorted((a, b) => a.to - b.to)) {
    if (first.has(by)) continue;
    first.set(by, to);
    releases.push(by);
  }
  for (const { from, by } of seen) {
    const newer = releases.slice(releases.indexOf(by) + 1).find((release) => first.get(release)! < from);
    if (newer !== undefined) late.push(`${by} after ${newer}`);
  }
  return { releases, late };
}
