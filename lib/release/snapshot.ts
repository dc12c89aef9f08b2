// What is read of an app once, for all that is told of it: files that several questions need are not read for each.
import type { DeployConfig } from "../config/types.ts";
import type { App } from "../contracts/app.ts";
import { DpError } from "../errors.ts";
import { namesIn } from "../host/files.ts";
import type { InstanceStatus } from "../host/instance.ts";
import { fact } from "../pipeline/facts.ts";
import { factOf, type Run } from "../pipeline/run-file.ts";
import { compareInstances, releaseOf } from "../text/ids.ts";
import { momentOf, readOnce, runFile, type Moment } from "./history.ts";
import { managersOf, statesOf } from "./manager.ts";
import { idsOfRelease, stoppedIds } from "./processes.ts";
import { warmIds } from "./warm.ts";
import { straysOf } from "./wanted.ts";

/** The run that made a release, and deploy.yml of its commit. */
export interface Made {
  run: Run;
  config: DeployConfig;
}

export interface Snapshot {
  app: App;
  live: string | null;
  moment: Moment;
  /** The record of the live release, or what is wrong with it; null: nothing is live. */
  made: Made | DpError | null;
  /** The names in the folder of the app's instances. */
  files: readonly string[];
  /** The instances that were stopped by hand. */
  stopped: ReadonlySet<string>;
  /** The name of each instance's manager. */
  managers: ReadonlyMap<string, string>;
  /** The instances that run, wait or have failed. A health check need not wait for them. */
  states: Promise<ReadonlyMap<string, InstanceStatus>>;
}

/** An app as it is now. Throws DpError "run" when the record of the live release lacks its config. */
export async function snapshotOf(app: App, live: string | null): Promise<Snapshot> {
  const moment = await momentOf(app);
  const made = live === null ? null : await madeOf(app, live);
  const files = await namesIn(app.places.instances);
  const stopped = await stoppedIds(app, files);
  const managers = await managersOf(app, files);
  return { app, live, moment, made, files, stopped, managers, states: statesOf(app, managers, files) };
}

async function madeOf(app: App, live: string): Promise<Made | DpError> {
  let run: Run;
  try {
    run = await readOnce(runFile(app, live));
  } catch (error) {
    if (error instanceof DpError) return error;
    throw error;
  }
  return { run, config: factOf(run, "config", fact.config) };
}

/** The instances of a release that should run: all except those that were stopped by hand. */
export const wantedIn = ({ app, stopped }: Snapshot, release: string, config: DeployConfig): string[] =>
  idsOfRelease(release, config, app.server).filter((id) => !stopped.has(id));

/** The status of one instance. */
export const stateIn = async ({ app, states }: Snapshot, id: string): Promise<InstanceStatus> =>
  (await states).get(id) ?? app.manager.status({ app: app.name, id });

/**
 * The instances that stay warm, and those that should not run. With a damaged `current` nobody knows which these are:
 * `isDamaged`.
 */
export async function othersIn(snapshot: Snapshot, isDamaged: boolean): Promise<{ warm: string[]; strays: string[] }> {
  const { app, live, made, files } = snapshot;
  const instances = [...(await snapshot.states).keys()].sort(compareInstances);
  const warm = (await warmIds(app, files)).filter((id) => id !== live && instances.includes(id));
  if (isDamaged) return { warm, strays: [] };
  const ofLive = () => instances.filter((id) => releaseOf(id) === live);
  const wanted = made === null ? [] : made instanceof DpError ? ofLive() : wantedIn(snapshot, live!, made.config);
  return { warm, strays: await straysOf(app, { live, wanted, instances, warm }) };
}
