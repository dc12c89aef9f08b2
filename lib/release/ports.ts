// The ports of instances behind a front: each has one of its own, on 127.0.0.1, until it is gone.
import { join } from "node:path";
import { DpError } from "../errors.ts";
import { namesIn, readText, removeFile, writeFileAtomic } from "../host/files.ts";
import { waitForLock } from "../host/lock.ts";
import type { Manager } from "../contracts/manager.ts";
import { deployments, places, root } from "../paths.ts";
import { listener, listeningPorts } from "../host/process/process.ts";
import { appNames } from "../config/server.ts";
import type { InstanceName } from "../host/instance.ts";

/** Below the kernel's own choice for outgoing connections (32768 to 60999), which could take any of them. */
const FIRST = 20_000;
const LAST = 29_999;
const COUNT = LAST - FIRST + 1;

const recordOf = ({ app, id }: InstanceName) => join(places(app).instances, `${id}.port`);

/** The port of an instance, or null when it has none. */
export async function portOf(name: InstanceName): Promise<number | null> {
  const text = await readText(recordOf(name));
  return text === null ? null : Number(text);
}

/**
 * Gives an instance a port of its own, the one that it has already if any: none that an app has, that another
 * instance has, or that anybody listens on. Throws DpError "host" when all are taken.
 */
export async function takePort(name: InstanceName): Promise<number> {
  const lock = await waitForLock(
    join(deployments(), ".ports.lock"),
    () => undefined,
    () => undefined,
  );
  try {
    const now = await portOf(name);
    if (now !== null) return now;
    const taken = await portsTaken();
    const first = firstTry(name);
    for (let tries = 0; tries < COUNT; tries++) {
      const port = FIRST + ((first + tries) % COUNT);
      if (taken.has(port) || (await listener(port)).length > 0) continue;
      await writeFileAtomic(recordOf(name), `${port}\n`, 0o600);
      return port;
    }
    throw new DpError("host", `all ports from ${FIRST} to ${LAST} are taken`);
  } finally {
    lock.release();
  }
}

// Somewhere of its own, so that whoever else looks for ports on this machine seldom looks at the same one.
const firstTry = ({ app, id }: InstanceName) => Number(Bun.hash(`${root()} ${app} ${id}`) % BigInt(COUNT));

/** Gives the port of an instance back. Safe to repeat. */
export async function givePortBack(name: InstanceName): Promise<void> {
  await removeFile(recordOf(name));
}

/**
 * Whether the port of a running instance is known: when its record is lost it is written again, if the instance is
 * reached by one port of the range and no more.
 */
export async function hasPort(name: InstanceName, managed: Manager): Promise<boolean> {
  if ((await portOf(name)) !== null) return true;
  const published = await managed.published?.(name);
  const open = published?.ports ?? listeningPorts(await managed.pids(name)).map(({ port }) => port);
  const own = [...new Set(open)].filter((port) => port >= FIRST && port <= LAST);
  if (own.length !== 1) return false;
  await writeFileAtomic(recordOf(name), `${own[0]}\n`, 0o600);
  return true;
}

async function portsTaken(): Promise<Set<number>> {
  const taken = new Set<number>();
  for (const app of await appNames()) {
    // By the line alone: another app's config may be broken, and that must not stop this one.
    const port = /^port:\s*(\d+)/m.exec((await readText(places(app).config)) ?? "")?.[1];
    if (port !== undefined) taken.add(Number(port));
    for (const file of await namesIn(places(app).instances)) {
      if (file.endsWith(".port")) taken.add(Number(await readText(join(places(app).instances, file))));
    }
  }
  return taken;
}
