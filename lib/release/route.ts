// What the front is told of an app, out of its config.yml.
import type { Route } from "../contracts/front.ts";
import type { ServerConfig } from "../config/types.ts";

/** The app's route, without its target: that follows from `current`. */
export function routeOf(app: string, server: ServerConfig): Omit<Route, "target"> {
  const { host, port, protocol, trustedProxies } = server;
  return { app, listen: { host, port }, protocol, trustedProxies };
}
