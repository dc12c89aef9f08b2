// What follows from `current`: which instances run, where the front points, and what starts at boot or on a schedule.
import { join } from "node:path";
import { setCron } from "../cron/cron.ts";
import type { Ahead, Known } from "./ahead.ts";
import { aimOf } from "./aim.ts";
import { releaseBefore } from "./history.ts";
import type { InstanceFacts } from "./instance.ts";
import { point } from "../host/link.ts";
import { serveAgain } from "./instances.ts";
import type { Io } from "../host/io.ts";
import type { App } from "../contracts/app.ts";
import type { RouteStatus } from "../contracts/front.ts";
import { isWeb } from "../text/ids.ts";
import { mendMaintenance } from "./maintenance.ts";
import { portOf } from "./ports.ts";
import { hasWeb } from "./processes.ts";
import { routeOf } from "./route.ts";
import { sealAll } from "./sealing.ts";
import { adoptAll, stopStrays, sweep } from "./tidy.ts";
import { startInstances } from "./workers.ts";

/**
 * Brings the host in line with `current`: the live release's processes run at their scale, the front points at its web
 * process, nothing else runs except warm releases and jobs in progress, and exactly that starts at boot. Answers
 * `changes`, one sentence each; none the second time. Throws DpError "host", and changes nothing, when `current` is
 * damaged.
 */
export async function reconcile(app: App, io: Io, changes: string[] = [], known?: Known): Promise<string[]> {
  const { live, facts, wanted } = known?.aim ?? (await aimOf(app));
  const ahead = known?.ahead ?? null;
  if (ahead?.failure === null) changes.push(`started ${app.name}@${live}`);
  await sweep(app);
  const { name, manager } = app;
  // The live release is left to "dp setup" or the next deploy, so that an app that changes its own files still starts
  // at boot.
  changes.push(...(await sealAll(app, false, io)));
  changes.push(...(await mendPrevious(app, live)));
  const route = await holdPort(app, facts, changes, io);
  changes.push(...(await adoptAll(app, wanted, io)));
  changes.push(...(await stopStrays(app, live, wanted, io)));
  if (live && facts && wanted.includes(live)) changes.push(...(await serveLive(facts, live, route, io, ahead)));
  if (facts) {
    const started = await startInstances(
      facts,
      wanted.filter((id) => !isWeb(id)),
      io,
    );
    changes.push(...started.map((id) => `started ${name}@${id}`));
  }
  changes.push(...(await setCron(app, facts?.config.cron ?? [], io)));
  if (await manager.enable(name, wanted, io)) {
    const what = wanted.map((id) => `${name}@${id}`).join(", ");
    changes.push(`enabled ${what || "nothing"}`);
  }
  return changes;
}

// A rollback that was interrupted between its two links leaves both at the same release.
async function mendPrevious(app: App, live: string | null): Promise<string[]> {
  if (live === null || (await app.previous()) !== live) return [];
  const before = await releaseBefore(app, live);
  const { previous, releases } = app.places;
  await point(previous, before && join(releases, before));
  return [`pointed previous at ${before ?? "nothing"}`];
}

// An app without a web process has no port to hold; before the first release that is unknown. Answers what the front does
// then: under the app's lock nobody else tells it anything.
async function holdPort(app: App, facts: InstanceFacts | null, changes: string[], io: Io): Promise<RouteStatus | null> {
  const { name, front } = app;
  if (facts && !hasWeb(facts.config)) {
    await front.remove(name, io);
    return null;
  }
  changes.push(...(await front.setup(await routeOf(app), io)));
  if (facts === null) await front.point(name, null, io);
  const route = await front.status(name, true);
  changes.push(...(await mendMaintenance(app, route)));
  return route;
}

async function serveLive(
  facts: InstanceFacts,
  live: string,
  route: RouteStatus | null,
  io: Io,
  ahead: Ahead | null,
): Promise<string[]> {
  const { app } = facts;
  const { name, manager, front } = app;
  if (ahead?.failure) throw ahead.failure;
  const port = await portOf(app, live);
  const isPointed = !front.holdsPort || (route?.target?.id === live && route.target.port === port && !route.isHeld);
  const isRunning = ahead !== null || (await manager.status({ app: name, id: live })).state === "running";
  if (ahead === null && isRunning && isPointed) return [];
  await serveAgain(app, live, io, { route: isPointed ? route : null, facts, startedAt: ahead?.at ?? null });
  return [
    ...(isRunning ? [] : [`started ${name}@${live}`]),
    ...(isPointed ? [] : [`pointed the front at ${name}@${live}`]),
  ];
}
