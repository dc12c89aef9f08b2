// Connections over https: whose they are is known once the client has named a domain, in its handshake.
import { excess } from "./room.ts";
import { gate } from "./app.ts";
import { HANDSHAKE, HTTPS, IDLE } from "./client-connection.ts";
import { contextOf, domainOf } from "./domains.ts";
import { events, take } from "./downstream.ts";
import { giveTo } from "./edge-answer.ts";
import { refuse } from "./ending.ts";
import { drop } from "./outlet.ts";
import type { Client } from "./types.ts";

type Socket = Bun.Socket<Client>;

/** What Bun's TLS sockets take as a certificate; its types do not name it. */
type Context = NonNullable<unknown>;

/** Handlers of Bun's TLS sockets that its types lack: `contract.ts` tries them before they are relied on. */
export interface SecureHandler {
  serverName(socket: Socket, name: string): Context | undefined;
  alpnCallback(socket: Socket, name: string, offered: Uint8Array): string | undefined;
}

/** SSL_OP_CIPHER_SERVER_PREFERENCE of openssl/ssl.h; the module that names it takes longer to load than the relay. */
const SERVER_PREFERENCE = 1 << 22;

/**
 * The TLS options of the listening socket: without a certificate of its own, an unknown name ends in an alert. Whose
 * order of ciphers counts is decided here, not by the certificate's context.
 */
export const SECURE_OPTIONS = { ALPNProtocols: "http/1.1", secureOptions: SERVER_PREFERENCE };

/** The handlers for the port of https. */
export const secureHandlers = (): Bun.SocketHandler<Client> & SecureHandler => ({
  ...events,
  open: (socket) => {
    const { client, over } = take(gate, socket, HTTPS);
    if (over > 0) drop(client, true);
  },
  handshake: shaken,
  end: (socket) => {
    if (socket.data.phase === HANDSHAKE) drop(socket.data, true);
    else events.end(socket);
  },
  serverName: (_, name) => contextOf(name.toLowerCase())?.context as Context | undefined,
  alpnCallback: (_, _name, offered) =>
    Buffer.from(offered).toString("latin1").includes("\x08http/1.1") ? "http/1.1" : undefined,
});

/** The handshake is complete, or has failed: then Bun has sent the alert. */
export function shaken(socket: Socket, isOk: boolean): void {
  const client = socket.data;
  if (client.phase !== HANDSHAKE) return;
  const name = isOk ? (socket as Socket & { getServername(): unknown }).getServername() : null;
  const found = typeof name === "string" ? domainOf(name.toLowerCase()) : undefined;
  if (found === undefined) return drop(client, !isOk);
  client.phase = IDLE;
  const { app } = found.places[0]!;
  giveTo(client, app);
  if (excess(app) > 0) refuse(client, 503, "it has too many connections");
}
