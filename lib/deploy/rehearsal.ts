// What the beginning of a deploy reads, read of the live release while git receives a push: code that has run once, and
// files that have been read, are quick when it counts.
import type { NamedApp } from "../contracts/app.ts";
import { makeIo, silentLog } from "../host/io.ts";
import { isAnyIdle } from "../host/processors.ts";
import { runModule } from "../pipeline/module-step.ts";
import { stepFile } from "../pipeline/step-files.ts";
import { openApp } from "../release/app.ts";
import { readOnce, runFile } from "../release/history.ts";
import { memoryOf } from "../release/preflight.ts";
import { roomFor } from "../release/room.ts";
import { routeOf } from "../release/route.ts";
import { secretsOf } from "../release/settings.ts";
import { wantedOf } from "../release/wanted.ts";

/**
 * Changes nothing; ends between two reads when `signal` is aborted, or when nothing is idle: git comes first. Throws what
 * reading throws.
 */
export async function rehearse({ name }: NamedApp, signal: AbortSignal, isIdle = isAnyIdle): Promise<void> {
  const app = await openApp(name);
  const live = await app.live();
  if (live === null) return;
  const before = await readOnce(runFile(app, live));
  const run = { ...before, facts: { ...before.facts, server: app.server } };
  // What saves most comes first: git may need no longer than that.
  const reads: readonly (() => Promise<unknown>)[] = [
    () => runModule(stepFile("read"), run, makeIo(silentLog, signal)),
    () => app.front.status(name),
    () => wantedOf(app, live),
    () => app.manager.status({ app: name, id: live }),
    () => app.manager.instances(name),
    () => routeOf(app),
    () => memoryOf(app),
    () => secretsOf(app),
    () => roomFor(app),
  ];
  for (const read of reads) {
    signal.throwIfAborted();
    if (!isIdle()) return;
    await read();
  }
}
