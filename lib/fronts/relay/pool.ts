// Idle connections to apps that no client has any more: the next client's request takes the one that was used last.
import type { Target } from "../../contracts/front.ts";
import { apps, relay } from "./app.ts";
import { setPaused } from "./client-connection.ts";
import { FILES, pooledIn } from "./capacity.ts";
import { OWNER_TIME, POOL_SIZE, REUSE_TIME } from "./limits.ts";
import { drop, hasUnread, isEmpty } from "./outlet.ts";
import type { App, Client, Upstream } from "./types.ts";

/** Whether an idle connection may still be used: any server's keep-alive lasts longer. */
export const isFresh = (upstream: Upstream): boolean => performance.now() - upstream.idleSince <= REUSE_TIME;

/** The connections that wait, to all apps. */
let pooled = 0;

/** Takes a connection out of its app's pool. */
export function unpool(upstream: Upstream): void {
  const { pool } = upstream;
  if (pool === null) return;
  upstream.pool = null;
  pooled--;
  pool.splice(pool.indexOf(upstream), 1);
}

/** Closes a connection that no client has, in the pool or not. `isReset`: it brought what nobody asked for. */
export function discard(upstream: Upstream, isReset: boolean): void {
  unpool(upstream);
  drop(upstream, isReset);
}

/** Gives the client's idle connection to the pool if others may use it; otherwise the client keeps it. */
export function giveBack(client: Client): void {
  const { app, upstream } = client;
  if (upstream === null || !isPoolable(app, upstream)) return;
  client.upstream = upstream.client = null;
  // While the last client did not read, neither did the relay.
  setPaused(upstream, false);
  upstream.pool = app.pool;
  pooled++;
  app.pool.push(upstream);
}

const isPoolable = (app: App, upstream: Upstream) =>
  upstream.isShared &&
  !upstream.isFixed &&
  upstream.socket !== null &&
  isEmpty(upstream) &&
  app.pool.length < POOL_SIZE &&
  pooled < pooledIn(FILES) &&
  app.hold === null &&
  upstream.target === app.route.target &&
  apps.get(app.route.app) === app &&
  !relay.isStopping;

/** A connection to the target for a request that others' connections may carry, or null. */
export function takePooled(app: App, target: Target): Upstream | null {
  for (;;) {
    const upstream = app.pool.at(-1);
    if (upstream === undefined) return null;
    unpool(upstream);
    if (upstream.target === target && isUsable(upstream)) return upstream;
    drop(upstream, false);
  }
}

/** What came after its last answer would be taken for the answer to the next request. */
const isUsable = (upstream: Upstream) =>
  isFresh(upstream) &&
  performance.now() - upstream.checkedAt <= OWNER_TIME &&
  upstream.socket !== null &&
  !hasUnread(upstream.socket);

/** Closes the connection that has been idle the longest: an app that takes few at once gets no more than it has requests. */
export function makeWay({ pool }: App): void {
  const oldest = pool[0];
  if (oldest !== undefined) discard(oldest, false);
}

/** Closes the pooled connections that nobody will use: those idle for too long, and those to other releases. */
export function trimPool(app: App): void {
  const { pool, hold, route } = app;
  for (const upstream of [...pool])
    if (hold !== null || upstream.target !== route.target || !isFresh(upstream)) discard(upstream, false);
}

/** Closes all pooled connections of an app. */
export function emptyPool({ pool }: App): void {
  for (const upstream of [...pool]) discard(upstream, false);
}
