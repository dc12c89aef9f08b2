// An app's route as its front gets it, from its config.yml and from a serving release.
import type { App } from "../contracts/app.ts";
import type { Route, Target } from "../contracts/front.ts";
import { DpError, messageOf } from "../errors.ts";
import { passOf } from "../health/own-check.ts";
import type { Io } from "../host/io.ts";
import { idsOf } from "../host/users.ts";
import type { Kind } from "../pipeline/facts.ts";
import { maintenanceOf, toldOf } from "./maintenance.ts";

/** The app's route, without its target: the target follows from `current`. */
export async function routeOf(app: App): Promise<Omit<Route, "target">> {
  const { name, server, front } = app;
  const { host, port, protocol, trustedProxies, user, domains, tls, allow, basicAuth } = server;
  const route: Omit<Route, "target"> = { app: name, listen: { host, port }, protocol, trustedProxies };
  if (domains.length > 0) {
    route.domains = domains.map(({ name: domain, path, stripPrefix, redirect }) => ({
      name: domain,
      ...(path && { path }),
      ...(stripPrefix && { stripPrefix }),
      ...(redirect && { redirect }),
    }));
    route.tls = { http: tls.http, hsts: Math.floor(tls.hsts / 1000) };
  }
  if (allow !== undefined) route.allow = allow;
  if (basicAuth !== undefined) route.basicAuth = basicAuth;
  const maintenance = maintenanceOf(app);
  if (front.maintain !== undefined) route.pass = await passOf(app);
  else if (maintenance !== null) throw openElsewhere(app);
  if (maintenance !== null) route.maintenance = toldOf(maintenance);
  if (user !== undefined && process.getuid?.() === 0) route.uid = (await idsOf(user))[0];
  return route;
}

/** A front without maintenance must not open an app that somebody has closed. */
const openElsewhere = ({ name, front }: App) =>
  new DpError("config", `${name} is closed for maintenance, and front: ${front.name} would open it`, {
    hint: `dp maintenance ${name} off`,
  });

/** Where a release takes requests, and which processes must answer there. */
export async function targetOf({ name, manager }: App, id: string, port: number): Promise<Target> {
  const target: Target = { id, port };
  const uid = (await manager.owner?.({ app: name, id }, port)) ?? null;
  if (uid !== null) target.uid = uid;
  return target;
}

/** Whether a front that has the first target need not be told of the other. */
export const isSameTarget = (one: Target | null, other: Target) =>
  one?.id === other.id && one.port === other.port && one.uid === other.uid;

/** Prepares the front on every server; a rollback goes on without one that is not well, which the warning names. */
export async function prepareFront({ name, front }: App, next: Target, kind: Kind, io: Io): Promise<void> {
  try {
    await front.prepare?.(name, next, io);
  } catch (error) {
    if (kind !== "rollback" || io.signal.aborted) throw error;
    io.warn(messageOf(error));
  }
}
