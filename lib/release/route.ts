// What the front is told of an app, out of its config.yml, and of a release that serves.
import type { ServerConfig } from "../config/types.ts";
import type { Route, Target } from "../contracts/front.ts";
import type { Manager } from "../contracts/manager.ts";
import type { InstanceName } from "../host/instance.ts";
import { idsOf } from "../host/users.ts";

/** The app's route, without its target: that follows from `current`. */
export async function routeOf(app: string, server: ServerConfig): Promise<Omit<Route, "target">> {
  const { host, port, protocol, trustedProxies, user } = server;
  const route: Omit<Route, "target"> = { app, listen: { host, port }, protocol, trustedProxies };
  if (user !== undefined && process.getuid?.() === 0) route.uid = (await idsOf(user))[0];
  return route;
}

/** Where a release takes requests, and who must answer there. */
export async function targetOf(name: InstanceName, port: number, managed: Manager): Promise<Target> {
  const target: Target = { id: name.id, port };
  const uid = (await managed.owner?.(name, port)) ?? null;
  if (uid !== null) target.uid = uid;
  return target;
}
