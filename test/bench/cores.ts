// Whether more processors help the relay: one relay on one processor, then as many relays as are asked for, each on a
// processor of its own, each with its own port and its own load, as if the kernel had shared the connections out.
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { relayAt } from "../../lib/fronts/relay/client.ts";
import { program } from "../../lib/host/self.ts";
import { freePort } from "../support/core-server.ts";
import { until } from "../support/sandbox.ts";
import { host, type Host } from "./fronts.ts";
import { startEcho } from "./proxies/app.ts";
import { installMissing, programPath } from "./proxies/packages.ts";
import { timeOf } from "./proxies/usage.ts";
import { median, section, type Measured, type Options } from "./section.ts";
import { runWrk } from "./wrk.ts";

const rows = {
  "one relay on one processor: throughput": { unit: "req/s" },
  "one relay on one processor: its processor time a request": { unit: "µs" },
  "one relay on one processor: that of the load and the app": { unit: "µs" },
  "a relay on each processor: throughput": { unit: "req/s" },
  "a relay on each processor: their processor time a request": { unit: "µs" },
  "more relays / one, throughput": { unit: "" },
  "the most that this machine can show of it": { unit: "" },
  "more relays / one, if the load were elsewhere": { unit: "" },
};

type Name = keyof typeof rows;

const CONNECTIONS = 64;

/** What some relays did together; times in µs of a processor for each request. */
interface Seen {
  throughput: number;
  relays: number;
  rest: number;
}

/** A relay with a folder of its own, on one processor, before the app. */
async function startOn(of: Host, processor: number, to: number): Promise<{ pid: number; port: number }> {
  const folder = join(of.folder, `relay-${processor}`);
  const pid = of.start(["taskset", "-c", String(processor), ...program("lib/fronts/relay/process.ts"), folder]);
  const relay = relayAt(folder);
  await until("the relay's start", () => relay.isRunning());
  const port = await freePort();
  await relay.set({ app: "app", listen: { host: "127.0.0.1", port }, protocol: "http", trustedProxies: [] });
  await relay.point("app", { id: "1-0000000", port: to });
  return { pid, port };
}

/** Loads some relays at once, from the processors that are named. */
async function once(
  of: Host,
  app: number,
  relays: readonly { pid: number; port: number }[],
  seconds: number,
  processors: string,
): Promise<Seen> {
  const pids = relays.map(({ pid }) => pid);
  const used = () => pids.reduce((sum, pid) => sum + timeOf(pid), 0);
  const [before, appBefore] = [used(), timeOf(app)];
  const connections = CONNECTIONS / relays.length;
  const loads = relays.map(({ port }) => runWrk(of.folder, port, seconds, { connections, processors }));
  const all = await Promise.all(loads);
  const requests = all.reduce((sum, one) => sum + one.requests, 0);
  if (requests === 0) throw new Error("no request was answered in time");
  const load = all.reduce((sum, one) => sum + one.time, 0);
  return {
    throughput: all.reduce((sum, one) => sum + one.throughput, 0),
    relays: ((used() - before) * 1e6) / requests,
    rest: ((timeOf(app) - appBefore + load) * 1e6) / requests,
  };
}

/** The rows, from what both ways came to in each round, on a machine with that many processors. */
export function valuesOf(
  one: readonly Seen[],
  more: readonly Seen[],
  relays: number,
  all: number,
): Record<Name, number> {
  const middle = (seen: readonly Seen[], field: keyof Seen) => median(seen.map((each) => each[field]));
  const [own, rest] = [middle(one, "relays"), middle(one, "rest")];
  // One relay is done when its processor is busy, and all together when every processor is.
  const alone = Math.min(1 / own, (all - 1) / rest);
  return {
    "one relay on one processor: throughput": middle(one, "throughput"),
    "one relay on one processor: its processor time a request": own,
    "one relay on one processor: that of the load and the app": rest,
    "a relay on each processor: throughput": middle(more, "throughput"),
    "a relay on each processor: their processor time a request": middle(more, "relays"),
    "more relays / one, throughput": median(more.map((each, round) => each.throughput / one[round]!.throughput)),
    "the most that this machine can show of it": Math.min(relays / own, all / (own + rest)) / alone,
    "more relays / one, if the load were elsewhere": (relays * own) / middle(more, "relays"),
  };
}

async function measure(options: Options): Promise<Measured<Name>> {
  installMissing(options.say);
  const { cores, isQuick, say } = options;
  const all = availableParallelism();
  const needed = ["wrk", "taskset"].filter((name) => programPath(name) === null);
  if (needed.length > 0) return { values: {}, notes: [`not measured: ${needed.join(", ")} is not installed`] };
  if (all < cores) return { values: {}, notes: [`not measured: --cores ${cores}, and this machine has ${all}`] };
  const of = host();
  try {
    const app = await startEcho(of);
    const relays = [];
    for (let processor = 0; processor < cores; processor++) relays.push(await startOn(of, processor, app.port));
    const [one, more]: [Seen[], Seen[]] = [[], []];
    const [rounds, seconds] = isQuick ? [1, 2] : [5, 4];
    for (let round = 0; round < rounds; round++) {
      one.push(await once(of, app.pid, relays.slice(0, 1), seconds, range(1, all)));
      more.push(await once(of, app.pid, relays, seconds, range(all > cores ? cores : 0, all)));
      say(`cores: ${Math.round(one.at(-1)!.throughput)} and ${Math.round(more.at(-1)!.throughput)} requests a second`);
    }
    return { values: valuesOf(one, more, cores, all), notes: notesOf(cores, all) };
  } finally {
    await of.stop();
  }
}

/** The processors from one to before another, for taskset. */
const range = (from: number, end: number) => `${Math.min(from, end - 1)}-${end - 1}`;

const notesOf = (cores: number, all: number) => [
  `${cores} relays, ${all} processors; kept connections of wrk, ${CONNECTIONS} in all, on the processors that no relay has, if any`,
  ...(all > cores
    ? []
    : ["relays, load and app share the processors: what more relays give here is less than elsewhere"]),
];

export default section({ name: "cores", rows, measure });
