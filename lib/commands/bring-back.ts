// Brings many apps in line. After a boot all of them are started first: everything else is done when nobody waits for a
// processor any more, or soon.
import { availableParallelism } from "node:os";
import type { App, NamedApp } from "../contracts/app.ts";
import { lockNow } from "../deploy/queue.ts";
import { EXIT, exitCodeOf } from "../errors.ts";
import { audit, resultOf } from "../host/audit.ts";
import { makeIo, silentLog } from "../host/io.ts";
import type { Lock } from "../host/lock.ts";
import { turns } from "../host/turns.ts";
import { who } from "../host/who.ts";
import { within } from "../host/within.ts";
import { settled, startAhead, type Known } from "../release/ahead.ts";
import { openApp } from "../release/app.ts";
import { reconcile } from "../release/reconcile.ts";

/**
 * Apps that are brought in line at a time, for each processor: while one boots, another one's files are written and a
 * third one's health is asked. `bun run bench --only boot` compares.
 */
const FOR_EACH_CPU = 8;
/** How long the rest of an app that has booted waits for others to boot, in ms. */
const PATIENCE = 1_000;

/** An app that is being brought in line, under its lock. */
interface Begun {
  app: App;
  lock: Lock;
  /** Missing for one app alone: there is nothing that it could be ahead of. */
  known?: Known;
}

/** What is done with each app. An error of one does not keep the others from it. */
export interface Each {
  /** Throws when there is no such app, or its config.yml is wrong. */
  find(name: string): Promise<NamedApp>;
  done(name: string, changes: string[]): void;
  failed(error: unknown): void;
  warn(message: string): void;
}

/** Brings the apps in line, and begins with them in this order. */
export async function bringBack(names: readonly string[], each: Each): Promise<void> {
  const most = availableParallelism() * FOR_EACH_CPU;
  const waiting = [...names];
  const rest: Promise<void>[] = [];
  const inTurn = turns(most);
  const allBegun = Promise.withResolvers<void>();
  const endLater = async (begun: Begun) => {
    await within(PATIENCE, allBegun.promise);
    await inTurn(() => end(begun, each));
  };
  const beginSome = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const begun = await beginOrNone(name, names.length > 1, each);
      if (begun?.known?.ahead) rest.push(endLater(begun));
      else if (begun !== null) await end(begun, each);
    }
  };
  await Promise.all(Array.from({ length: most }, beginSome));
  allBegun.resolve();
  await Promise.all(rest);
}

async function beginOrNone(name: string, isOfMany: boolean, { find, failed }: Each): Promise<Begun | null> {
  try {
    return await begin(await find(name), isOfMany);
  } catch (error) {
    failed(error);
    return null;
  }
}

async function begin(named: NamedApp, isOfMany: boolean): Promise<Begun> {
  const lock = await lockNow(named, "dp reconcile");
  try {
    // Only now its config.yml stays as it is: a command may have changed it since it was found.
    const app = await openApp(named.name);
    return { app, lock, ...(isOfMany && { known: await startAhead(app, makeIo(silentLog)) }) };
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function end(begun: Begun, { done, failed, warn }: Each): Promise<void> {
  try {
    done(begun.app.name, await reconcileOne(begun, warn));
  } catch (error) {
    failed(error);
  }
}

/** The audit log names the changes, even when an error ended them early. */
async function reconcileOne({ app, lock, known }: Begun, warn: (message: string) => void): Promise<string[]> {
  const changes: string[] = [];
  let code: number = EXIT.ok;
  try {
    const sure = known && (await settled(app, known));
    return await reconcile(app, makeIo(silentLog), changes, sure);
  } catch (error) {
    code = exitCodeOf(error);
    throw error;
  } finally {
    lock.release();
    const detail = changes.join("; ");
    if (detail !== "")
      audit({ app: app.name, what: "reconcile", detail, ...who(), result: resultOf(code), code }, warn);
  }
}
