// The instances of an app: which run, which should, and the way back to the live one.
import type { HealthCheck, ServerConfig } from "./config.ts";
import { DpError } from "./errors.ts";
import { describe, waitUntilHealthy, type Patient } from "./health.ts";
import { liveId } from "./history.ts";
import { factsOfRelease, instanceOf } from "./instance.ts";
import type { Io } from "./io.ts";
import type { Manager } from "./manager.ts";
import { listener } from "./process.ts";
import { manager } from "./registry.ts";

/** Throws DpError "host" when the port is held by anything but an instance of this app. */
export async function requireFreePort(app: string, port: number, managed: Manager): Promise<void> {
  const owners = await listener(port);
  if (owners.length === 0) return;
  const own = new Set<number>();
  for (const id of await managed.instances(app)) for (const pid of await managed.pids({ app, id })) own.add(pid);
  const others = owners.filter(({ pid }) => pid === null || !own.has(pid));
  if (others.length === 0) return;
  throw new DpError("host", `port ${port} is held by ${await describe(others)}`, {
    hint: `end that process, or give the app another port: dp setup ${app} --port N`,
  });
}

/** Stops every instance of the app but `id`; answers whether there was one. */
export async function stopOthers(app: string, id: string | null, managed: Manager, io: Io): Promise<boolean> {
  const others = (await managed.instances(app)).filter((other) => other !== id);
  for (const other of others) await managed.stop({ app, id: other }, io);
  return others.length > 0;
}

/** Starts a release that served before, unless it runs, and waits until it is healthy. Throws DpError "unhealthy". */
export async function startAgain(
  app: string,
  id: string,
  server: ServerConfig,
  managed: Manager,
  io: Io,
): Promise<void> {
  const facts = await factsOfRelease(app, id, server);
  const status = await managed.status({ app, id });
  if (status.state !== "running") {
    await stopOthers(app, id, managed, io);
    await managed.start(await instanceOf(facts), io);
  }
  await waitUntilHealthy(patientOf(app, id, facts.config.healthCheck, server.port, managed), io);
}

/** An instance as health.ts asks it. */
export function patientOf(app: string, id: string, check: HealthCheck, port: number, managed: Manager): Patient {
  return { name: { app, id }, manager: managed, check, port };
}

/**
 * Makes true what follows from `current`: its instance runs, no other does, and it alone comes up at boot.
 * Answers one sentence for each change; none the second time.
 */
export async function reconcile(app: string, server: ServerConfig, io: Io): Promise<string[]> {
  const managed = await manager(server.manager);
  const live = await liveId(app);
  const changes: string[] = [];
  for (const id of await managed.instances(app)) {
    if (id === live) continue;
    await managed.stop({ app, id }, io);
    await managed.forget({ app, id }, io);
    changes.push(`stopped ${app}@${id}, which is not live`);
  }
  if (live && (await managed.status({ app, id: live })).state !== "running") {
    await startAgain(app, live, server, managed, io);
    changes.push(`started ${app}@${live}`);
  }
  if (await managed.enable(app, live, io)) changes.push(live ? `enabled ${app}@${live}` : `enabled nothing`);
  return changes;
}
