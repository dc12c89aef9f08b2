// `dp reconcile`: brings instances, boot and cron in line with `current`.
import { availableParallelism } from "node:os";
import type { App } from "../contracts/app.ts";
import { openApp } from "../release/app.ts";
import { audit, resultOf } from "../host/audit.ts";
import { makeBallast } from "../host/ballast.ts";
import { handLock } from "../deploy/hand-lock.ts";
import { owed, settleOwed } from "../deploy/owed.ts";
import { reconcile } from "../release/reconcile.ts";
import { makeIo, silentLog } from "../host/io.ts";
import { EXIT, exitCodeOf } from "../errors.ts";
import { report } from "../main.ts";
import { lockNow } from "../deploy/queue.ts";
import { appNames } from "../config/server.ts";
import { who } from "../host/who.ts";
import { deploy, resume } from "./deploy.ts";
import type { Ended } from "../deploy/launch.ts";

export interface Reconciled {
  /** App -> its changes; empty when there was nothing to do. */
  changes: Record<string, string[]>;
  /** The exit code of the first failure, or 0. */
  code: number;
}

/**
 * Apps that are brought in line at a time, for each processor: while one boots, another one's files are written and a
 * third one's health is asked. `bun run bench --only boot` compares.
 */
const FOR_EACH_CPU = 8;

/** One app, or all: an error of one app is reported, and the others are reconciled all the same. */
export async function reconcileApps(app: string | undefined, warn: (message: string) => void): Promise<Reconciled> {
  const all: Reconciled = { changes: {}, code: 0 };
  const opened = new Map<string, App>();
  const attempt = async (name: string, work: (one: App) => Promise<void>) => {
    try {
      const one = opened.get(name) ?? (await openApp(name));
      await work(one);
      opened.set(name, one);
    } catch (error) {
      all.code ||= report(error);
    }
  };
  const names = app === undefined ? await appNames() : [app];
  const isOfMany = names.length > 1;
  if (isOfMany) await expectMany(names[0]!);
  const waiting = await busiestFirst(names);
  const startSome = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift())
      await attempt(name, async (one) => {
        if (isOfMany) await one.manager.expectMany?.(name);
        all.changes[one.name] = await reconcileOne(one, warn);
      });
  };
  await Promise.all(Array.from({ length: availableParallelism() * FOR_EACH_CPU }, startSome));
  // A deploy may take minutes and prints its log: one after the other, when all apps are back.
  for (const name of names.filter((each) => each in all.changes)) {
    await attempt(name, async (one) => {
      const late = await deployOwed(one);
      if (late) all.changes[name]!.push(`deployed ${late.id}, which was pushed but not deployed yet`);
      all.code ||= late?.code ?? 0;
    });
  }
  all.changes = Object.fromEntries(names.flatMap((name) => (name in all.changes ? [[name, all.changes[name]!]] : [])));
  await makeBallast();
  if (Object.keys(all.changes).length > 0) await keepRenewing();
  if (app === undefined) all.code ||= await watchAgain();
  return all;
}

/** What watches the processes of many apps gets ready while all of them are looked at. */
async function expectMany(first: string): Promise<void> {
  try {
    await (await openApp(first)).manager.expectMany?.(first);
  } catch {
    // what is wrong with it is told when it is reconciled
  }
}

/** The apps whose front has counted most requests come first: after a boot, those whose clients wait already. */
export async function busiestFirst(names: readonly string[]): Promise<string[]> {
  const requestsOf = async (name: string): Promise<number> => {
    try {
      const { front } = await openApp(name);
      return (await front.status(name, true))?.requests ?? 0;
    } catch {
      return 0; // what is wrong with it is told when it is reconciled
    }
  };
  const requests = new Map(await Promise.all(names.map(async (name) => [name, await requestsOf(name)] as const)));
  return names.toSorted((a, b) => requests.get(b)! - requests.get(a)!);
}

/** Without systemd nothing else starts the process that renews certificates after a reboot. */
async function keepRenewing(): Promise<void> {
  const { owners } = await import("../domains/owners.ts");
  const { ensureClock } = await import("../domains/clock.ts");
  if ((await owners()).size > 0) await ensureClock(makeIo(silentLog));
}

/** The look and the sender, after a boot without systemd or an upgrade. Answers the exit code. */
async function watchAgain(): Promise<number> {
  try {
    const { keepWatching } = await import("../watch/watching.ts");
    await keepWatching(makeIo(silentLog));
    return EXIT.ok;
  } catch (error) {
    return report(error);
  }
}

/** Runs under the app's lock; the audit log names the changes, even when an error ended them early. */
async function reconcileOne(app: App, warn: (message: string) => void): Promise<string[]> {
  const lock = await lockNow(app, "dp reconcile");
  const changes: string[] = [];
  let code: number = EXIT.ok;
  try {
    return await reconcile(app, makeIo(silentLog), changes);
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

// A push that git has accepted is deployed, even if the machine went down before the deploy had begun.
async function deployOwed(app: App): Promise<Ended | null> {
  const due = handLock(app) ? null : await owed(app);
  if (due === null) return null;
  if ("id" in due) return resume(app.name, undefined, { json: true });
  const ended = await deploy(app.name, due.sha, { json: true });
  await settleOwed(app, due.sha);
  return ended;
}
