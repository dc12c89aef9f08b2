// Restarts, stops and starts the live release, process by process.
import type { App } from "../contracts/app.ts";
import type { Io } from "../host/io.ts";
import { isWeb, releaseOf } from "../text/ids.ts";
import type { InstanceFacts } from "../release/instance.ts";
import { serveAgain } from "../release/instances.ts";
import { proveInstances, startInstances } from "../release/workers.ts";

/** Restarts the live web process in its place while requests wait at the front. Throws DpError "unhealthy". */
async function restartWeb(app: App, live: string, io: Io): Promise<void> {
  const { name, server, manager, front } = app;
  await front.hold(name, server.holdTimeout, io);
  try {
    await front.drain(name, live, server.drainTimeout, io);
    await manager.stop({ app: name, id: live }, io);
    await serveAgain(app, live, io);
  } finally {
    await front.resume(name, io);
  }
}

/** Restarts an instance of the live release, which must then prove healthy. Throws DpError "unhealthy". */
export async function restartInstance(facts: InstanceFacts, id: string, io: Io): Promise<void> {
  const { app } = facts;
  if (isWeb(id)) return restartWeb(app, id, io);
  await app.manager.stop({ app: app.name, id }, io);
  await startInstance(facts, id, io);
}

/** Starts an instance of the live release unless it runs; it must then prove healthy. Throws DpError "unhealthy". */
export async function startInstance(facts: InstanceFacts, id: string, io: Io): Promise<void> {
  if (isWeb(id)) return serveAgain(facts.app, releaseOf(id), io);
  await startInstances(facts, [id], io);
  await proveInstances(facts, [id], io);
}

/** Stops an instance of the live release; the front releases a web process first. */
export async function stopInstance({ name, server, manager, front }: App, id: string, io: Io): Promise<void> {
  if (isWeb(id)) {
    await front.point(name, null, io);
    await front.drain(name, id, server.drainTimeout, io);
  }
  await manager.stop({ app: name, id }, io);
}
