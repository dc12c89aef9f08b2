// The listening sockets: those that systemd kept, otherwise new ones, which are given to systemd to keep.
import { DpError, codeOf, messageOf } from "../../errors.ts";
import type { Address } from "../../config/tls.ts";
import type { Route } from "../../contracts/front.ts";
import { limitUnsent } from "../../host/process/socket-buffers.ts";
import { handlersFor } from "./downstream.ts";
import { BACKLOG, UNSENT } from "./limits.ts";
import { log } from "./log.ts";
import { closeFd, handedOver, notify, setBacklog, sharePort } from "./systemd.ts";
import { quietDown } from "./retire-socket.ts";
import type { App, Client } from "./types.ts";

/** Members of Bun's listener that its types lack. */
type Listener = Bun.TCPSocketListener<Client> & { readonly fd: number; getsockname(out: Bound): void };
type Bound = { address?: string; port?: number };

/** How a socket is listened on, besides its address. */
export interface Manner {
  socket: Bun.SocketHandler<Client>;
  tls?: object;
}

const kept = new Map<string, number>();
for (const [name, fd] of handedOver()) {
  if (kept.has(name)) closeFd(fd);
  else kept.set(name, fd);
}

/** Makes the app listen on its address; records a failure in its `error`. */
export function listen(app: App): void {
  const { app: name, listen: address } = app.route;
  app.error = null;
  try {
    app.listener = open(name, address, { socket: handlersFor(app) });
    log(`${name}: listens on ${address.host}:${address.port}`);
  } catch (error) {
    app.error = problemOf(error, address.host, address.port);
    log(`${name}: ${app.error}`);
  }
}

/** The socket that systemd kept under the name if it has the address, otherwise a new one, which systemd then keeps. */
export function open(name: string, address: Address, manner: Manner): Bun.TCPSocketListener<Client> {
  const kept = takeKept(name, address, manner);
  if (kept !== null) return kept;
  const listener = bind(address, manner);
  keep(name, listener);
  return listener;
}

/** Binds a socket to an address. Throws what Bun.listen throws. */
function bind({ host, port }: Address, manner: Manner, reusePort = false): Bun.TCPSocketListener<Client> {
  const options = { hostname: host, port, reusePort, allowHalfOpen: true, ...manner };
  const listener = Bun.listen<Client>(options as Bun.TCPSocketListenOptions<Client>);
  setBacklog((listener as Listener).fd, BACKLOG);
  limitUnsent((listener as Listener).fd, UNSENT);
  return listener;
}

/** Gives the socket to systemd, under the name of its app. */
function keep(name: string, listener: Bun.TCPSocketListener<Client>): void {
  notify(`FDSTORE=1\nFDNAME=${name}`, (listener as Listener).fd);
}

/** A prepared move to another address. */
export interface Move {
  /** Switches to the new address; connections already made to the old address are answered. */
  commit(): Promise<void>;
  cancel(): void;
}

/** Prepares to listen on the route's address; throws DpError "host" when that is not possible. */
export function move(app: App, route: Route): Move {
  const { host, port } = route.listen;
  // 0.0.0.0 covers the port of 127.0.0.1 as well: both sockets must share it for a moment, or the second could not be
  // bound.
  const old = app.listener !== null && app.route.listen.port === port ? (app.listener as Listener) : null;
  let listener: Bun.TCPSocketListener<Client>;
  if (old !== null) sharePort(old.fd, true);
  try {
    listener = bind(route.listen, { socket: handlersFor(app) }, old !== null);
  } catch (error) {
    if (old !== null) sharePort(old.fd, false);
    throw new DpError("host", `${route.app}: ${problemOf(error, host, port)}`, { cause: error });
  }
  return {
    cancel() {
      listener.stop();
      if (old !== null) sharePort(old.fd, false);
    },
    async commit() {
      const before = app.listener;
      if (before !== null) forget(route.app);
      app.listener = listener;
      app.error = null;
      keep(route.app, listener);
      log(`${route.app}: listens on ${host}:${port}`);
      if (before === null) return;
      await quietDown((before as Listener).fd);
      before.stop();
    },
  };
}

/** The socket that systemd kept under the name, if it is bound to the address. */
function takeKept(name: string, address: Address, manner: Manner): Bun.TCPSocketListener<Client> | null {
  const fd = kept.get(name);
  if (fd === undefined) return null;
  kept.delete(name);
  const options = { fd, allowHalfOpen: true, ...manner };
  const listener = Bun.listen<Client>(options as unknown as Bun.TCPSocketListenOptions<Client>) as Listener;
  limitUnsent(listener.fd, UNSENT);
  const bound: Bound = {};
  listener.getsockname(bound);
  if (bound.port === address.port && isSameHost(bound.address, address.host)) return listener;
  listener.stop();
  notify(`FDSTOREREMOVE=1\nFDNAME=${name}`);
  return null;
}

const isSameHost = (bound: string | undefined, host: string) =>
  bound === host || (host === "localhost" && (bound === "127.0.0.1" || bound === "::1"));

/** Makes systemd drop the socket that it keeps under the name. */
export const forget = (name: string) => notify(`FDSTOREREMOVE=1\nFDNAME=${name}`);

/** Stops listening. `isForgotten`: systemd drops the socket as well. Existing connections stay. */
export function unlisten(app: App, isForgotten: boolean): void {
  if (isForgotten) forget(app.route.app);
  app.listener?.stop();
  app.listener = null;
}

/** Closes the kept sockets of apps that no longer exist. */
export function dropUnclaimed(): void {
  for (const [name, fd] of kept) {
    closeFd(fd);
    notify(`FDSTOREREMOVE=1\nFDNAME=${name}`);
  }
  kept.clear();
}

/** Why a socket cannot be bound, in words. */
export function problemOf(error: unknown, host: string, port: number): string {
  if (codeOf(error) === "EADDRINUSE") return `port ${port} is taken by another program: ss -ltnp sport = :${port}`;
  if (codeOf(error) === "EACCES") return `port ${port} needs the capability CAP_NET_BIND_SERVICE`;
  if (codeOf(error) === "EADDRNOTAVAIL") return `this machine has no address ${host}`;
  return `cannot listen on ${host}:${port}: ${messageOf(error)}`;
}
