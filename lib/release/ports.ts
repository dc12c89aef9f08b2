// The ports of instances behind a front: each instance has its own, on 127.0.0.1, until it is gone.
import { hostname } from "node:os";
import { join } from "node:path";
import type { App, NamedApp } from "../contracts/app.ts";
import { DpError } from "../errors.ts";
import { namesIn, readText, removeFile, writeFileAtomic } from "../host/files.ts";
import { holderOf, waitForLock } from "../host/lock.ts";
import { isIn, keepOwnPorts, ownPorts, RANGE, type Span } from "../host/own-ports.ts";
import { turns } from "../host/turns.ts";
import { deployments, places, root } from "../paths.ts";
import { listenedPorts, listeningPorts } from "../host/process/process.ts";
import { appNames } from "../config/server.ts";

const { first: FIRST, last: LAST } = RANGE;
const COUNT = LAST - FIRST + 1;
/** The ports of a block: for the live release, the next one, and those that stay warm or drain. */
const BLOCK = 8;

const recordOf = ({ places: { instances } }: NamedApp, id: string) => join(instances, `${id}.port`);

/** The port of an instance, or null when it has none. */
export async function portOf(app: NamedApp, id: string): Promise<number | null> {
  const text = await readText(recordOf(app, id));
  return text === null ? null : Number(text);
}

/**
 * Gives an instance its own port, or the one that it has already: one of the app's block if possible, that no other
 * instance has and nobody listens on. Throws DpError "host" when all are taken, the kernel's included, "locked" when
 * others take theirs for longer than `patience` ms.
 */
export async function takePort(app: NamedApp, id: string, patience = PATIENCE): Promise<number> {
  // Most often: nobody else writes it, and the lock would be waited for in vain.
  const known = await portOf(app, id);
  if (known !== null) return known;
  return underLock(patience, async () => {
    const now = await portOf(app, id);
    if (now !== null) return now;
    const own = (await ownPorts(app.places.base)).find(isBlock);
    const mine = await portsOf(app);
    const { block, port } = (own && (await freeOfOwn(own, mine))) ?? (await freeOfAll(app, id, own));
    await keepSpans(app, block, [port, ...mine]);
    await writeFileAtomic(recordOf(app, id), `${port}\n`, 0o600);
    return port;
  });
}

/**
 * Reserves the app's block, and records what its processes may bind besides: ports that they have already, and the
 * public one, when they listen there themselves.
 */
export async function reservePorts(app: NamedApp, ownPublic: number | null): Promise<void> {
  await underLock(PATIENCE, async () => {
    const own = (await ownPorts(app.places.base)).find(isBlock);
    const block = own ?? freeBlock(app, await portsTaken(app));
    await keepSpans(app, block, [...(await portsOf(app)), ...(ownPublic === null ? [] : [ownPublic])]);
  });
}

interface Found {
  block: Span | null;
  port: number;
}

/**
 * A free port of the app's own block, or null. No other app was given one there since the block is its own, so of the
 * others only the public ports are read: with 1,000 apps a deploy takes no longer than with one.
 */
async function freeOfOwn(block: Span, mine: readonly number[]): Promise<Found | null> {
  const port = freeIn(block, (await publicPorts()).union(listenedPorts()).union(new Set(mine)));
  return port === undefined ? null : { block, port };
}

/** A free port of a block if possible, else any. Throws DpError "host" when there is none. */
async function freeOfAll(app: NamedApp, id: string, own: Span | undefined): Promise<Found> {
  const taken = (await portsTaken(app)).union(listenedPorts());
  const block = own ?? freeBlock(app, taken);
  return { block, port: freeIn(block, taken) ?? freePort(firstTry(`${app.name} ${id}`, COUNT), taken) };
}

/** How long the lock is waited for, in ms: it is held while a few small files are written. */
const PATIENCE = 60_000;

/**
 * Those of this process take the lock in their order: in a race with many others one might lose again and again, and
 * each time wait for a disk.
 */
const inTurn = turns(1);

/** Throws DpError "locked" when another process, one that hangs, does not let the lock go. */
const underLock = <T>(patience: number, work: () => Promise<T>): Promise<T> =>
  inTurn(async () => {
    const file = join(deployments(), ".ports.lock");
    const end = performance.now() + patience;
    const turn = () => {
      if (performance.now() > end) throw held(file, patience);
    };
    const lock = await waitForLock(file, turn, () => undefined);
    lock.note({ pid: process.pid });
    try {
      return await work();
    } finally {
      lock.release();
    }
  });

function held(file: string, patience: number): DpError {
  const pid = (holderOf(file) as { pid?: number } | null)?.pid;
  return new DpError("locked", `${file} has not been free for ${patience / 1000} s: process ${pid ?? "?"} holds it`, {
    hint: pid === undefined ? `fuser ${file}` : `ps -o pid,stat,wchan:20,args -p ${pid} shows what it waits for`,
  });
}

type Placed = Pick<NamedApp, "name" | "places">;

const isBlock = ({ first, last }: Span) => first !== last;

// Apart from the block, an app has the ports that its instances took while none in it was free, or before it had one.
async function keepSpans({ places: { base } }: NamedApp, block: Span | null, ports: readonly number[]): Promise<void> {
  const apart = [...new Set(ports)].filter((port) => isIn(RANGE, port) && !(block && isIn(block, port)));
  const single = apart.sort((a, b) => a - b).map((port) => ({ first: port, last: port }));
  await keepOwnPorts(base, [...(block ? [block] : []), ...single]);
}

/** A block of which no port is taken, or null. */
function freeBlock({ name }: NamedApp, taken: ReadonlySet<number>): Span | null {
  const blocks = Math.floor(COUNT / BLOCK);
  const start = firstTry(name, blocks);
  for (let tries = 0; tries < blocks; tries++) {
    const first = FIRST + ((start + tries) % blocks) * BLOCK;
    const block = { first, last: first + BLOCK - 1 };
    if (portsIn(block).every((port) => !taken.has(port))) return block;
  }
  return null;
}

const portsIn = ({ first, last }: Span) => Array.from({ length: last - first + 1 }, (_, at) => first + at);

const freeIn = (block: Span | null, taken: ReadonlySet<number>): number | undefined =>
  block === null ? undefined : portsIn(block).find((port) => !taken.has(port));

// One look at all listeners: an app that listens on thousands of ports must not block the deploys of others.
function freePort(first: number, taken: ReadonlySet<number>): number {
  for (let tries = 0; tries < COUNT; tries++) {
    const port = FIRST + ((first + tries) % COUNT);
    if (!taken.has(port)) return port;
  }
  return portOfKernel(taken);
}

/** A free port from the kernel's range, when all others are taken. Throws DpError "host". */
function portOfKernel(taken: ReadonlySet<number>): number {
  for (let tries = 0; tries < 100; tries++) {
    const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    server.stop(true);
    if (!taken.has(server.port)) return server.port;
  }
  throw new DpError("host", `all ports from ${FIRST} to ${LAST} are taken`, { hint: "ss -ltnp tells by whom" });
}

// Where a search begins. It differs by name, and by host: containers that share a network have apps of the same name.
const firstTry = (name: string, count: number) => Number(Bun.hash(`${hostname()} ${root()} ${name}`) % BigInt(count));

/** Releases the port of an instance. Safe to repeat. */
export async function givePortBack(app: NamedApp, id: string): Promise<void> {
  await removeFile(recordOf(app, id));
}

/**
 * Whether the port of a running instance is known. A lost record is written again if the instance listens on exactly
 * one port of the range.
 */
export async function hasPort(app: App, id: string): Promise<boolean> {
  if ((await portOf(app, id)) !== null) return true;
  const name = { app: app.name, id };
  const published = await app.manager.published?.(name);
  const open = published?.ports ?? listeningPorts(await app.manager.pids(name)).map(({ port }) => port);
  const own = [...new Set(open)].filter((port) => isIn(RANGE, port));
  if (own.length !== 1) return false;
  await writeFileAtomic(recordOf(app, id), `${own[0]}\n`, 0o600);
  return true;
}

/** The ports of an app's instances. */
async function portsOf({ places: { instances } }: Placed): Promise<number[]> {
  const files = (await namesIn(instances)).filter((file) => file.endsWith(".port"));
  return Promise.all(files.map(async (file) => Number(await readText(join(instances, file)))));
}

/** All public ports, those of all instances, and the blocks of the other apps. */
async function portsTaken({ name }: NamedApp): Promise<Set<number>> {
  const taken = await publicPorts();
  for (const app of (await appNames()).map(namedPlaces)) {
    for (const port of await portsOf(app)) taken.add(port);
    const others = app.name === name ? [] : await ownPorts(app.places.base);
    for (const port of others.flatMap(portsIn)) taken.add(port);
  }
  return taken;
}

/** The public ports of all apps. */
async function publicPorts(): Promise<Set<number>> {
  const ports = new Set<number>();
  for (const name of await namesIn(deployments())) {
    // Only this line is read: another app's config may be broken, and that must not stop this one.
    const port = /^port:\s*(\d+)/m.exec((await readText(join(deployments(), name, "config.yml"))) ?? "")?.[1];
    if (port !== undefined) ports.add(Number(port));
  }
  return ports;
}

const namedPlaces = (name: string): Placed => ({ name, places: places(name) });
