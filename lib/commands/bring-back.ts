// Brings many apps in line. After a boot all of them are started first: everything else is done when nobody waits for a
// processor any more, or soon.
import { availableParallelism } from "node:os";
import type { App } from "../contracts/app.ts";
import { lockNow } from "../deploy/queue.ts";
import { EXIT, exitCodeOf } from "../errors.ts";
import { audit, resultOf } from "../host/audit.ts";
import { makeIo, silentLog } from "../host/io.ts";
import type { Lock } from "../host/lock.ts";
import { who } from "../host/who.ts";
import { within } from "../host/within.ts";
import type { Early } from "../release/aim.ts";
import { startEarly } from "../release/early.ts";
import { reconcile } from "../release/reconcile.ts";

/**
 * Apps that are brought in line at a time, for each processor: while one boots, another one's files are written and a
 * third one's health is asked. `bun run bench --only boot` compares.
 */
const FOR_EACH_CPU = 8;
/** How long the rest of an app waits for others to boot, in ms. */
const PATIENCE = 1_000;

/** An app that is being brought in line, under its lock. */
interface Begun {
  app: App;
  lock: Lock;
  /** Missing for one app alone: there is nothing that it could be early for. */
  early?: Early;
  /** In ms of performance.now. */
  since: number;
}

/** What is done with each app. An error of one does not keep the others from it. */
export interface Each {
  open(name: string): Promise<App>;
  done(name: string, changes: string[]): void;
  failed(error: unknown): void;
  warn(message: string): void;
}

/** Brings the apps in line, and begins with them in this order. */
export async function bringBack(names: readonly string[], each: Each): Promise<void> {
  const [toBegin, toEnd]: [string[], Begun[]] = [[...names], []];
  const allBegun = Promise.withResolvers<void>();
  let left = names.length;
  const beginOne = async (name: string) => {
    try {
      toEnd.push(await begin(await each.open(name), names.length > 1));
    } catch (error) {
      each.failed(error);
    }
    left -= 1;
    if (left === 0) allBegun.resolve();
  };
  const endOne = async ({ since }: Begun) => {
    await within(Math.max(0, since + PATIENCE - performance.now()), allBegun.promise);
    const begun = toEnd.shift(); // another one than that, if somebody else waited for it, too
    if (begun !== undefined) await end(begun, each);
  };
  const work = async () => {
    for (;;) {
      const [oldest] = toEnd;
      const isDue = oldest !== undefined && performance.now() - oldest.since > PATIENCE;
      const name = isDue ? undefined : toBegin.shift();
      if (name !== undefined) await beginOne(name);
      else if (oldest !== undefined) await endOne(oldest);
      else return;
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() * FOR_EACH_CPU }, work));
}

async function begin(app: App, isOfMany: boolean): Promise<Begun> {
  const lock = await lockNow(app, "dp reconcile");
  try {
    const early = isOfMany ? { early: await startEarly(app, makeIo(silentLog)) } : {};
    return { app, lock, ...early, since: performance.now() };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** The audit log names the changes, even when an error ended them early. */
async function end({ app, lock, early }: Begun, { done, failed, warn }: Each): Promise<void> {
  const changes: string[] = [];
  let code: number = EXIT.ok;
  try {
    done(app.name, await reconcile(app, makeIo(silentLog), changes, early));
  } catch (error) {
    code = exitCodeOf(error);
    failed(error);
  } finally {
    lock.release();
  }
  const detail = changes.join("; ");
  if (detail !== "") audit({ app: app.name, what: "reconcile", detail, ...who(), result: resultOf(code), code }, warn);
}
