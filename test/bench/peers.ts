// What a push does to those who ask meanwhile: dp beside piku, Capistrano, and a hook with pm2, on one booted server.
import { boxUnavailable } from "../support/box.ts";
import capistrano from "./peers/capistrano.ts";
import { dpWith } from "./peers/dp.ts";
import { openPeer, versions, withServer } from "./peers/ground.ts";
import type { Deployed, Peer } from "./peers/peer.ts";
import piku from "./peers/piku.ts";
import reload from "./peers/reload.ts";
import { traffic } from "./peers/traffic.ts";
import { median, section, type Measured, type Options } from "./section.ts";

const PEERS: readonly Peer[] = [dpWith("builtin"), dpWith("systemd"), piku, capistrano, reload];

const FIGURES = {
  "push to the first new answer": "ms",
  "push returns": "ms",
  "requests failed in a push": "",
  "longest time without an answer": "ms",
  "rollback to the first old answer": "ms",
  "requests failed in a rollback": "",
} as const;

type Figure = keyof typeof FIGURES;
type Seen = Partial<Record<Figure, number>>;

const rows = Object.fromEntries(
  PEERS.flatMap(({ name }) => Object.entries(FIGURES).map(([figure, unit]) => [`${name}: ${figure}`, { unit }])),
);

/** Milliseconds of requests before what is typed, and after the last thing that was waited for. */
const AROUND = 1_000;
/** Milliseconds within which the new release must answer. */
const LIMIT = 60_000;

/** What the clients of an app see while something is typed, until an answer is as wanted. Times in ms. */
async function watch(port: number, isWanted: (body: string) => boolean, type: () => Promise<unknown>) {
  const requests = traffic(port);
  try {
    await Bun.sleep(AROUND);
    const begun = performance.now();
    const first = requests.first(isWanted, LIMIT);
    await type();
    const returned = performance.now() - begun;
    const answered = (await first) - begun;
    await Bun.sleep(AROUND);
    return { returned, answered, seen: await requests.stop() };
  } finally {
    await requests.stop();
  }
}

type Reasons = Record<string, number>;

/** One push and, where there is such a thing, one way back; `reasons` gets why requests failed. */
async function round({ port, laptop, files, push, back }: Deployed, say: string, reasons: Reasons): Promise<Seen> {
  const add = (more: Reasons) => {
    for (const [why, count] of Object.entries(more)) reasons[why] = (reasons[why] ?? 0) + count;
  };
  await laptop.commit(files(say));
  const pushed = await watch(port, (body) => body.includes(say), push);
  add(pushed.seen.reasons);
  const seen: Seen = {
    "push to the first new answer": pushed.answered,
    "push returns": pushed.returned,
    "requests failed in a push": pushed.seen.failed,
    "longest time without an answer": pushed.seen.gap,
  };
  if (back === null) return seen;
  const went = await watch(port, (body) => !body.includes(say), back);
  add(went.seen.reasons);
  return {
    ...seen,
    "rollback to the first old answer": went.answered,
    "requests failed in a rollback": went.seen.failed,
  };
}

/** A round, or why it failed. */
const attempt = (deployed: Deployed, say: string, reasons: Reasons): Promise<Seen | string> =>
  round(deployed, say, reasons).catch((error: Error) => error.message.trim().split("\n").slice(0, 4).join(" | "));

/** The peers that could be set up, each with its first release live; a note for each of the others. */
async function openAll(options: Options, ground: Parameters<Peer["open"]>[0], notes: string[]) {
  const open = new Map<Peer, Deployed>();
  for (const peer of PEERS) {
    options.say(`peers: ${peer.name} is set up on the booted server`);
    const made = await openPeer(peer, ground);
    if (typeof made === "string") notes.push(`${peer.name}: not measured: ${made}`);
    else open.set(peer, made);
  }
  return open;
}

async function measure(options: Options): Promise<Measured> {
  const why = boxUnavailable();
  if (why !== null) return { values: {}, notes: [`not measured: ${why}`] };
  const notes = [
    "a request every 10 ms, each on a connection of its own; pushes over ssh to a booted Debian, in turns, medians",
    "a Flask app under gunicorn, with piku under uWSGI, with pm2 the same answer from two processes of node",
    "dp watches a release for 3 s after the switch (verifyTime, as by default) before the push returns",
  ];
  return withServer(async (box) => {
    const open = await openAll(options, { box, piku: options.piku }, notes);
    try {
      const all = await inTurns(open, options, notes);
      return { values: valuesOf(all), notes: [...notes, await versions(box)] };
    } finally {
      for (const { laptop } of open.values()) laptop.remove();
    }
  });
}

/** uWSGI looks for new files every 3 s: the rounds begin at moments of that which are far from each other. */
const PERIOD = 3_000;

const untilMoment = (part: number) => Bun.sleep((PERIOD * (1 + part) - (Date.now() % PERIOD)) % PERIOD);

/** Some rounds of all; one that fails in a round is left out from then on, with a note. */
async function inTurns(open: ReadonlyMap<Peer, Deployed>, { isQuick, say }: Options, notes: string[]) {
  const all = new Map([...open.keys()].map((peer) => [peer, [] as Seen[]]));
  const reasons = new Map([...open.keys()].map((peer) => [peer, {} as Reasons]));
  const failed = new Set<Peer>();
  const rounds = isQuick ? 1 : 5;
  for (let number = 1; number <= rounds; number++)
    for (const [peer, deployed] of open) {
      if (failed.has(peer)) continue;
      await untilMoment(number / rounds);
      const seen = await attempt(deployed, `release ${number}`, reasons.get(peer)!);
      say(`peers: ${peer.name}: ${JSON.stringify(seen)}`);
      if (typeof seen !== "string") all.get(peer)!.push(seen);
      else {
        notes.push(`${peer.name}: left out from round ${number} on: ${seen}`);
        failed.add(peer);
      }
    }
  for (const [{ name }, why] of reasons)
    if (Object.keys(why).length > 0) notes.push(`${name}: requests failed by ${JSON.stringify(why)}`);
  return all;
}

function valuesOf(all: ReadonlyMap<Peer, Seen[]>): Record<string, number> {
  const values: Record<string, number> = {};
  for (const [{ name }, rounds] of all)
    for (const figure of Object.keys(FIGURES) as Figure[])
      values[`${name}: ${figure}`] = median(rounds.flatMap((seen) => seen[figure] ?? []));
  return values;
}

export default section({ name: "peers", rows, measure });
