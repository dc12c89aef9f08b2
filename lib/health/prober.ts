// dp's own probe requests through the public port while a release changes: the proof that no request is lost.
import { ownCheck } from "./own-check.ts";
import { probe } from "./probe.ts";
import { within } from "../host/within.ts";
import { publicAddress } from "../paths.ts";
import type { HealthCheck } from "../config/types.ts";
import type { App } from "../contracts/app.ts";

/** The results of the probe requests. */
export interface Probes {
  requests: number;
  failed: number;
  /** The longest time between two good answers, in ms. */
  longestGap: number;
}

/** The results where nothing is probed. */
export const NO_PROBES: Probes = { requests: 0, failed: 0, longestGap: 0 };

export interface Prober {
  /** Stops the requests, after the one that is under way; answers the results. */
  stop(): Promise<Probes>;
  /** Stops the requests at once; answers the results, and how many requests were cut, 0 or 1. */
  cut(): Promise<{ probes: Probes; unanswered: number }>;
  /** The results so far. */
  seen(): Probes;
}

/** Milliseconds between an answer and the next request: little load, yet shorter than a person could notice. */
const PAUSE = 15;

/** Sends probe requests to the public port, one at a time, until it is stopped. */
export function startProber(app: Pick<App, "front" | "places" | "server">, check: HealthCheck): Prober {
  const seen: Probes = { requests: 0, failed: 0, longestGap: 0 };
  const stopped = Promise.withResolvers<void>();
  const cut = new AbortController();
  let isStopped = false;
  let isWaiting = false;
  let good = performance.now();
  const loop = (async () => {
    const { server } = app;
    while (!isStopped) {
      isWaiting = true;
      const answer = await probe(await ownCheck(app, check), server.port, publicAddress(server), cut.signal);
      if (cut.signal.aborted) return;
      isWaiting = false;
      const now = performance.now();
      seen.requests++;
      if (answer.isHealthy) {
        seen.longestGap = Math.max(seen.longestGap, Math.round(now - good));
        good = now;
      } else seen.failed++;
      await within(PAUSE, stopped.promise);
    }
    seen.longestGap = Math.max(seen.longestGap, seen.failed > 0 ? Math.round(performance.now() - good) : 0);
  })();
  const stop = async () => {
    isStopped = true;
    stopped.resolve();
    await loop;
    return seen;
  };
  return {
    seen: () => ({ ...seen }),
    stop,
    async cut() {
      cut.abort();
      return { probes: await stop(), unanswered: Number(isWaiting) };
    },
  };
}

/** The sum of several results. */
export function sumOf(parts: readonly Probes[]): Probes {
  return {
    requests: parts.reduce((sum, part) => sum + part.requests, 0),
    failed: parts.reduce((sum, part) => sum + part.failed, 0),
    longestGap: Math.max(0, ...parts.map((part) => part.longestGap)),
  };
}

/** What clients may have had of a release that is not healthy: `live for 1.2 s; of 63 requests of dp's own 1 failed`. */
export function harmText(
  ms: number,
  { requests, failed }: Pick<Probes, "requests" | "failed">,
  unanswered = 0,
): string {
  const waits = unanswered === 0 ? "" : `, ${unanswered} had no answer yet`;
  return `live for ${(ms / 1000).toFixed(1)} s; of ${requests + unanswered} requests of dp's own ${failed} failed${waits}`;
}

/** `requests 212, failed 0, longest gap 9 ms`. */
export function probesText({ requests, failed, longestGap }: Probes): string {
  return `requests ${requests}, failed ${failed}, longest gap ${longestGap} ms`;
}
