// A fleet that is asked again and again: what is known of each server, and when it is asked next.
import type { ServerView } from "./document.ts";
import { askerOf, type Asker } from "./ask.ts";
import type { Named } from "./servers.ts";

/** The pause after an answer, in ms. */
export const PAUSE = 5_000;
/** The pauses after the first, second, third and every further failure. */
const AGAIN = [5_000, 10_000, 20_000, 30_000];

/** How long a server is left alone after so many failures in a row, in ms; after an answer for `pause`. */
export const waitAfter = (failures: number, pause = PAUSE): number =>
  failures === 0 ? pause : AGAIN[Math.min(failures, AGAIN.length) - 1]!;

const seconds = () => Math.floor(Date.now() / 1000);

const unknown = ({ name, address }: Named): ServerView => ({ name, address, seen: null, error: null, report: null });

/** Asks all servers once, at the same time: the slowest decides how long that takes. */
export async function askAll(servers: readonly Named[]): Promise<ServerView[]> {
  return Promise.all(
    servers.map(async (server) => {
      const view = unknown(server);
      await look(view, askerOf(server, false));
      return view;
    }),
  );
}

/** Asks one server and notes the answer; a failure leaves the last report as it was. */
async function look(view: ServerView, asker: Asker): Promise<void> {
  const answer = await asker.ask();
  if (typeof answer === "string") {
    view.error = answer;
    return;
  }
  view.error = null;
  view.seen = seconds();
  view.report = answer;
}

export interface Watch {
  servers: readonly ServerView[];
  /** Resolves when each server has answered once, or failed to. */
  first: Promise<void>;
  /** Ends the questions and their connections. */
  stop(): Promise<void>;
}

/** Asks each server in a row of its own: a slow one delays nobody. `changed` is called after each answer. */
export function watchFleet(named: readonly Named[], changed: () => void, pause = PAUSE): Watch {
  const stop = Promise.withResolvers<null>();
  let isOver = false;
  const servers = named.map(unknown);
  const askers = named.map((server) => askerOf(server, true));
  const firsts = named.map(() => Promise.withResolvers<void>());
  const rows = named.map(async (_, at) => {
    for (let failures = 0; !isOver;) {
      await look(servers[at]!, askers[at]!);
      if (isOver) return;
      failures = servers[at]!.error === null ? 0 : failures + 1;
      firsts[at]!.resolve();
      changed();
      await sleepUntil(waitAfter(failures, pause), stop.promise);
    }
  });
  return {
    servers,
    first: Promise.all(firsts.map(({ promise }) => promise)).then(() => undefined),
    async stop() {
      isOver = true;
      stop.resolve(null);
      await Promise.all(askers.map((asker) => asker.close()));
      await Promise.all(rows);
    },
  };
}

/** Waits, but not beyond `over`; a timer that is left would keep dp from ending. */
async function sleepUntil(ms: number, over: Promise<null>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(() => resolve(null), ms);
  await Promise.race([promise, over]);
  clearTimeout(timer);
}
