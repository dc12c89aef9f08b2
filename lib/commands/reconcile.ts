// `dp reconcile`: brings instances, boot and cron in line with `current`.
import type { App } from "../contracts/app.ts";
import { openApp } from "../release/app.ts";
import { makeBallast } from "../host/ballast.ts";
import { handLock } from "../deploy/hand-lock.ts";
import { owed, settleOwed } from "../deploy/owed.ts";
import { makeIo, silentLog } from "../host/io.ts";
import { EXIT } from "../errors.ts";
import { report } from "../main.ts";
import { appNames } from "../config/server.ts";
import { bringBack } from "./bring-back.ts";
import { deploy, resume } from "./deploy.ts";
import type { Ended } from "../deploy/launch.ts";

export interface Reconciled {
  /** App -> its changes; empty when there was nothing to do. */
  changes: Record<string, string[]>;
  /** The exit code of the first failure, or 0. */
  code: number;
}

/** One app, or all: an error of one app is reported, and the others are reconciled all the same. */
export async function reconcileApps(app: string | undefined, warn: (message: string) => void): Promise<Reconciled> {
  const all: Reconciled = { changes: {}, code: 0 };
  const keep = (code: number) => void (all.code ||= code);
  const failed = (error: unknown) => keep(report(error));
  const names = app === undefined ? await appNames() : [app];
  const opened = await openAll(names);
  const find = async (name: string) => opened.get(name) ?? (await openApp(name));
  const done = (name: string, changes: string[]) => void (all.changes[name] = changes);
  await bringBack(await busiestFirst(names, opened), { find, done, failed, warn });
  // A deploy may take minutes and prints its log: one after the other, when all apps are back.
  for (const name of names.filter((each) => each in all.changes)) {
    try {
      const late = await deployOwed(await openApp(name));
      if (late) all.changes[name]!.push(`deployed ${late.id}, which was pushed but not deployed yet`);
      keep(late?.code ?? 0);
    } catch (error) {
      failed(error);
    }
  }
  all.changes = Object.fromEntries(names.flatMap((name) => (name in all.changes ? [[name, all.changes[name]!]] : [])));
  await makeBallast();
  if (Object.keys(all.changes).length > 0) await keepRenewing();
  if (app === undefined) keep(await watchAgain());
  return all;
}

/**
 * The apps that can be opened; what is wrong with another one is told when it is brought in line. What serves or watches
 * many gets ready meanwhile.
 */
async function openAll(names: readonly string[]): Promise<Map<string, App>> {
  const opened = new Map<string, App>();
  const fronts = new Set<string>();
  for (const name of names) {
    try {
      const app = await openApp(name);
      opened.set(name, app);
      if (names.length > 1) await expectMany(app, fronts);
    } catch {
      continue;
    }
  }
  return opened;
}

/** `fronts`: those that know of it. */
async function expectMany({ name, manager, front }: App, fronts: Set<string>): Promise<void> {
  if (!fronts.has(front.name)) {
    fronts.add(front.name);
    await front.expectMany?.();
  }
  await manager.expectMany?.(name);
}

/** The apps whose front has counted most requests come first: after a boot, those whose clients wait already. */
export async function busiestFirst(names: readonly string[], opened: ReadonlyMap<string, App>): Promise<string[]> {
  const requestsOf = async (name: string): Promise<number> => {
    const route = await opened
      .get(name)
      ?.front.status(name, true)
      .catch(() => null);
    return route?.requests ?? 0;
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

// A push that git has accepted is deployed, even if the machine went down before the deploy had begun.
async function deployOwed(app: App): Promise<Ended | null> {
  const due = handLock(app) ? null : await owed(app);
  if (due === null) return null;
  if ("id" in due) return resume(app.name, undefined, { json: true });
  const ended = await deploy(app.name, due.sha, { json: true });
  await settleOwed(app, due.sha);
  return ended;
}
