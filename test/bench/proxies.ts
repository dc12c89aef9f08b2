// What a proxy costs, by what is asked of it: the relay beside a direct connection, nginx, HAProxy, Caddy and kamal-proxy.
import { chmodSync } from "node:fs";
import { host, type Host } from "./fronts.ts";
import { BIG, startEcho } from "./proxies/app.ts";
import { installMissing, programPath } from "./proxies/packages.ts";
import { missing, PROXIES, startProxy, type Proxy, type ProxyName } from "./proxies/proxy.ts";
import { timeOf } from "./proxies/usage.ts";
import { median, section, type Measured, type Options } from "./section.ts";
import { runWrk, type Load } from "./wrk.ts";

const LOADS: Record<string, Load> = {
  "50 connections": { connections: 50 },
  "500 connections": { connections: 500 },
  "a connection a request": { connections: 50, isFresh: true },
  "answers of 1 MB": { connections: 50, path: "/big" },
  "uploads of 1 MB": { connections: 50, upload: BIG },
};

const FIGURES = { throughput: "req/s", p99: "ms", processor: "µs" } as const;
type Figure = keyof typeof FIGURES;
type Seen = Record<Figure, number>;

/** The rows of one load, in the order of the proxies. */
const rowOf = (load: string, proxy: ProxyName, figure: Figure) =>
  `${load}, ${proxy}: ${figure === "processor" ? "processor time a request" : figure}`;

const rows = Object.fromEntries(
  Object.keys(LOADS).flatMap((load) =>
    PROXIES.flatMap((proxy) =>
      (Object.keys(FIGURES) as Figure[]).map((figure) => [rowOf(load, proxy, figure), { unit: FIGURES[figure] }]),
    ),
  ),
);

/** Loads a proxy once; `processor`: µs of a processor that it used for a request. */
async function once(of: Host, { port, pid }: Proxy, seconds: number, load: Load): Promise<Seen> {
  const before = timeOf(pid);
  const { throughput, p99, requests } = await runWrk(of.folder, port, seconds, load);
  if (requests === 0) throw new Error("no request was answered in time");
  return { throughput, p99, processor: ((timeOf(pid) - before) * 1e6) / requests };
}

/** Starts what can be had, before the same app; a note for each of the others. */
async function startAll(of: Host, options: Options, notes: string[]): Promise<Map<ProxyName, Proxy>> {
  // The processes of nginx that serve are another user's, and keep uploads in files.
  chmodSync(of.folder, 0o755);
  const app = await startEcho(of);
  const started = new Map<ProxyName, Proxy>();
  for (const name of PROXIES) {
    const why = missing(name, options.kamalProxy);
    if (why === null) started.set(name, await startProxy(of, name, app, options.kamalProxy));
    else notes.push(`${name}: not measured: ${why}`);
  }
  return started;
}

async function measure(options: Options): Promise<Measured> {
  installMissing(options.say);
  if (programPath("wrk") === null) return { values: {}, notes: ["not measured: wrk is not installed"] };
  const [rounds, seconds] = options.isQuick ? [1, 2] : [3, 3];
  const notes = [
    `wrk -t1 -d${seconds}s, ${rounds} rounds in turns, medians; nginx has a process for each processor`,
    "processor time is that of the proxy's processes, or of the app itself for direct, not that of wrk",
  ];
  const of = host();
  try {
    const started = await startAll(of, options, notes);
    const values: Record<string, number> = {};
    for (const [name, load] of Object.entries(LOADS)) {
      const seen = await inTurns(of, started, rounds, seconds, load, (line) =>
        options.say(`proxies: ${name}: ${line}`),
      );
      for (const [proxy, all] of seen)
        for (const figure of Object.keys(FIGURES) as Figure[])
          values[rowOf(name, proxy, figure)] = median(all.map((one) => one[figure]));
      for (const proxy of started.keys())
        if (!seen.has(proxy)) notes.push(`${name}, ${proxy}: not measured: requests failed`);
    }
    return { values, notes };
  } finally {
    await of.stop();
  }
}

/** One load on each, several times; one whose requests fail is left out from then on. */
async function inTurns(
  of: Host,
  started: ReadonlyMap<ProxyName, Proxy>,
  rounds: number,
  seconds: number,
  load: Load,
  say: (line: string) => void,
): Promise<Map<ProxyName, Seen[]>> {
  const seen = new Map([...started.keys()].map((name) => [name, [] as Seen[]]));
  for (let round = 0; round < rounds; round++)
    for (const name of [...seen.keys()]) {
      try {
        const one = await once(of, started.get(name)!, seconds, load);
        seen.get(name)!.push(one);
        say(`${name} ${Math.round(one.throughput)} req/s, ${one.processor.toFixed(1)} µs`);
      } catch (error) {
        say(`${name}: ${(error as Error).message}`);
        seen.delete(name);
      }
    }
  return seen;
}

export default section({ name: "proxies", rows, measure });
