// The ports of instances behind a front: each instance has its own, on 127.0.0.1, until it is gone.
import { join } from "node:path";
import type { App, NamedApp } from "../contracts/app.ts";
import { DpError } from "../errors.ts";
import { namesIn, readText, removeFile, writeFileAtomic } from "../host/files.ts";
import { waitForLock } from "../host/lock.ts";
import { deployments, places, root } from "../paths.ts";
import { listenedPorts, listeningPorts } from "../host/process/process.ts";
import { appNames } from "../config/server.ts";

/** Below the kernel's range for outgoing connections (32768 to 60999), which could take any of them. */
const FIRST = 20_000;
const LAST = 29_999;
const COUNT = LAST - FIRST + 1;

const recordOf = ({ places: { instances } }: NamedApp, id: string) => join(instances, `${id}.port`);

/** The port of an instance, or null when it has none. */
export async function portOf(app: NamedApp, id: string): Promise<number | null> {
  const text = await readText(recordOf(app, id));
  return text === null ? null : Number(text);
}

/**
 * Gives an instance its own port, or the one that it has already: a port that no app has, no other instance has, and
 * nobody listens on. Throws DpError "host" when all are taken, the kernel's included.
 */
export async function takePort(app: NamedApp, id: string): Promise<number> {
  const lock = await waitForLock(
    join(deployments(), ".ports.lock"),
    () => undefined,
    () => undefined,
  );
  try {
    const now = await portOf(app, id);
    if (now !== null) return now;
    const port = freePort(firstTry(app, id), (await portsTaken()).union(listenedPorts()));
    await writeFileAtomic(
      recordOf(app, id),
      `${port}
`,
      0o600,
    );
    return port;
  } finally {
    lock.release();
  }
}

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

// A starting point that differs by instance, so that two searches on this machine seldom meet at the same port.
const firstTry = ({ name }: NamedApp, id: string) => Number(Bun.hash(`${root()} ${name} ${id}`) % BigInt(COUNT));

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
  const own = [...new Set(open)].filter((port) => port >= FIRST && port <= LAST);
  if (own.length !== 1) return false;
  await writeFileAtomic(recordOf(app, id), `${own[0]}\n`, 0o600);
  return true;
}

async function portsTaken(): Promise<Set<number>> {
  const taken = new Set<number>();
  for (const { config, instances } of (await appNames()).map(places)) {
    // Only this line is read: another app's config may be broken, and that must not stop this one.
    const port = /^port:\s*(\d+)/m.exec((await readText(config)) ?? "")?.[1];
    if (port !== undefined) taken.add(Number(port));
    for (const file of await namesIn(instances)) {
      if (file.endsWith(".port")) taken.add(Number(await readText(join(instances, file))));
    }
  }
  return taken;
}
