// Deploys under load: what the clients of an app notice of N pushes in a row.
import { load, type LoadResult } from "../fronts/relay/support/load.ts";
import type { Sandbox } from "../support/sandbox.ts";
import { filesOf, PATHS, SLOW, withApp } from "./app.ts";
import { median, quantile, section, type Measured, type Options } from "./section.ts";
import { push, type Timing } from "./timing.ts";

const ms = { unit: "ms" };
const count = { unit: "" };

const rows = {
  deploys: count,
  "deploys that failed": { unit: "", below: 1 },
  requests: count,
  "requests that failed": { unit: "", below: 1 },
  "requests a second": { unit: "req/s" },
  "longest time without an answer": ms,
  "answer p50": ms,
  "answer p99": ms,
  "websockets opened": count,
  "websocket messages": count,
  "switch, median": { unit: "ms", below: 20 },
  "switch, p99": ms,
  "switch, longest": ms,
  "push, median of the first ten": ms,
  "push, median of the last ten": ms,
  "dp's own probes that failed": { unit: "", below: 1 },
};

type Name = keyof typeof rows;

const APP = "bench";
const RATE = 200;

/** Half keep-alive, half fresh, half of both POSTs, and what takes long. A client waits for its answer: hence a bit more. */
const LOAD = { rate: RATE * 1.15, keepAlive: 12, fresh: 12, slow: 2, downloads: 1, websockets: 1, paths: PATHS };

interface Series {
  timings: Timing[];
  failures: string[];
  probesFailed: number;
  seen: LoadResult;
  seconds: number;
}

async function series(box: Sandbox, { deploys, say }: Options): Promise<Series> {
  await box.commit(filesOf(APP, "release 0"));
  await push(box, "release 0");
  const clients = load({ port: box.port, ...LOAD });
  const begun = performance.now();
  const made: Omit<Series, "seen" | "seconds"> = { timings: [], failures: [], probesFailed: 0 };
  try {
    for (let number = 1; number <= deploys; number++) {
      await box.commit({ say: `release ${number}` });
      try {
        made.timings.push(await push(box, `release ${number}`));
        made.probesFailed += probesFailed(box);
      } catch (error) {
        made.failures.push(String(error));
      }
      if (number % 10 === 0)
        say(`deploys: ${number}, requests ${clients.soFar().requests}, failed ${clients.soFar().failed}`);
    }
  } finally {
    const seconds = (performance.now() - begun) / 1000;
    const seen = await clients.stop();
    Object.assign(made, { seen, seconds });
  }
  return made as Series;
}

function probesFailed(box: Sandbox): number {
  const facts = box.run().facts as Record<string, { failed: number } | undefined>;
  return ["swapProbes", "verifyProbes", "drainProbes"].reduce((sum, name) => sum + (facts[name]?.failed ?? 0), 0);
}

async function measure(options: Options): Promise<Measured<Name>> {
  // Kept small so that hundreds of deploys end in time: a request of 500 ms is drained in each of them all the same.
  const {
    timings,
    failures,
    probesFailed: lost,
    seen,
    seconds,
  } = await withApp(options, APP, ["verifyTime: 0s", "keep: 3"], (box) => series(box, options));
  const switches = timings.map(({ switchTime }) => switchTime);
  const totals = timings.map(({ total }) => total);
  const values = {
    deploys: timings.length,
    "deploys that failed": failures.length,
    requests: seen.requests,
    "requests that failed": seen.failed,
    "requests a second": seen.requests / seconds,
    "longest time without an answer": seen.longestGap,
    "answer p50": seen.p50,
    "answer p99": seen.p99,
    "websockets opened": seen.websockets.opened,
    "websocket messages": seen.websockets.messages,
    "switch, median": median(switches),
    "switch, p99": quantile(switches, 0.99),
    "switch, longest": Math.max(...switches),
    "push, median of the first ten": median(totals.slice(0, 10)),
    "push, median of the last ten": median(totals.slice(-10)),
    "dp's own probes that failed": lost,
  };
  const what = `${LOAD.keepAlive} keep-alive and ${LOAD.fresh} fresh clients, half of their requests POSTs; ${LOAD.slow} always with a request of ${SLOW} ms; a download and a websocket`;
  const notes = [`verifyTime is 0 here; the load: ${what}`];
  notes.push(...seen.failures.map((failure) => `failed: ${JSON.stringify(failure)}`));
  notes.push(...failures.slice(0, 5).map((failure) => failure.split("\n").slice(0, 8).join(" | ")));
  return { values, notes };
}

export default section({ name: "deploys", rows, measure });
