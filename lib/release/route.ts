// What the front is told of an app, out of its config.yml.
import type { ServerConfig } from "../config/config.ts";
import type { Route } from "../contracts/front.ts";

/** The app's route, without its target: that follows from `current`. */
export function routeOf(app: string, server: ServerConfig): Omit<Route, "target"> {
  const { host, port, protocol, trustedProxies } = server;
  return { app, listen: { host, port }, protocol, trustedProxies };
}

/** The address by which this machine reaches the app's public port. */
export function publicAddress({ host }: Pick<ServerConfig, "host">): string {
  return host === "0.0.0.0" ? "127.0.0.1" : host;
}
