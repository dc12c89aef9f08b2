// Restarting, stopping and starting what is live, process by process.
import type { Io } from "../host/io.ts";
import { isWeb, releaseOf } from "../paths.ts";
import { front } from "../registry.ts";
import type { InstanceFacts } from "../release/instance.ts";
import { serveAgain } from "../release/instances.ts";
import { managerOf } from "../release/manager.ts";
import { proveInstances, startInstances } from "../release/workers.ts";
import type { ServerConfig } from "../config/types.ts";

/** Restarts the live web process in its place while requests wait at the front. Throws DpError "unhealthy". */
async function restartWeb(app: string, live: string, server: ServerConfig, io: Io): Promise<void> {
  const holder = await front(server.front);
  await holder.hold(app, server.holdTimeout, io);
  try {
    await holder.drain(app, live, server.drainTimeout, io);
    await (await managerOf(server)).stop({ app, id: live }, io);
    await serveAgain(app, live, server, io);
  } finally {
    await holder.resume(app, io);
  }
}

/** Restarts an instance of the live release; it must prove itself. Throws DpError "unhealthy". */
export async function restartInstance(facts: InstanceFacts, id: string, io: Io): Promise<void> {
  const { app, server } = facts;
  if (isWeb(id)) return restartWeb(app, id, server, io);
  await (await managerOf(server)).stop({ app, id }, io);
  await startInstance(facts, id, io);
}

/** Starts an instance of the live release unless it runs; it must prove itself. Throws DpError "unhealthy". */
export async function startInstance(facts: InstanceFacts, id: string, io: Io): Promise<void> {
  const { app, server } = facts;
  if (isWeb(id)) return serveAgain(app, releaseOf(id), server, io);
  const managed = await managerOf(server);
  await startInstances(facts, [id], managed, io);
  await proveInstances(facts, [id], managed, io);
}

/** Stops an instance of the live release; of a web process the front lets go first. */
export async function stopInstance({ app, server }: InstanceFacts, id: string, io: Io): Promise<void> {
  if (isWeb(id)) {
    const holder = await front(server.front);
    await holder.point(app, null, io);
    await holder.drain(app, id, server.drainTimeout, io);
  }
  await (await managerOf(server)).stop({ app, id }, io);
}
