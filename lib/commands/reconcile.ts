// `dp reconcile`: instances and boot follow from `current`, whatever happened.
import { makeBallast } from "../ballast.ts";
import { reconcile } from "../release/reconcile.ts";
import { makeIo, silentLog } from "../io.ts";
import { report } from "../main.ts";
import { lockNow } from "../release/queue.ts";
import { appNames, readServer } from "../server.ts";

export interface Reconciled {
  /** App -> what was changed; empty when nothing was to do. */
  changes: Record<string, string[]>;
  /** The first failure's exit code, or 0. */
  code: number;
}

/** One app, or all: a bad one is reported, and does not keep the others from being put right. */
export async function reconcileApps(app: string | undefined): Promise<Reconciled> {
  const all: Reconciled = { changes: {}, code: 0 };
  for (const name of app === undefined ? await appNames() : [app]) {
    try {
      const server = await readServer(name);
      const lock = await lockNow(name, "dp reconcile");
      try {
        all.changes[name] = await reconcile(name, server, makeIo(silentLog));
      } finally {
        lock.release();
      }
    } catch (error) {
      all.code ||= report(error);
    }
  }
  await makeBallast();
  return all;
}
