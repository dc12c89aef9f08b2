// Connections over https by node:tls, for a Bun whose own handlers of TLS cannot be relied on. Slower, and documented.
import { createServer, type Server, type Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { gate } from "./app.ts";
import { HANDSHAKE, HTTPS } from "./client-connection.ts";
import { contextOf } from "./domains.ts";
import { events, take } from "./downstream.ts";
import { BACKLOG } from "./limits.ts";
import { drop } from "./outlet.ts";
import { SECURE_OPTIONS, shaken } from "./secure.ts";
import { dupFd, setBacklog } from "./systemd.ts";
import type { Client } from "./types.ts";

/** What listens until it is stopped. */
export interface Stoppable {
  stop(): void;
}

/** Takes the connections of a socket that listens already, which is closed. `failed` gets a later error. */
export function listenByNode(listener: Bun.TCPSocketListener<Client>, failed: (error: Error) => void): Stoppable {
  const fd = dupFd((listener as Bun.TCPSocketListener<Client> & { readonly fd: number }).fd);
  listener.stop();
  const server: Server = createServer({ allowHalfOpen: true, pauseOnConnect: false }, accept);
  server.on("error", failed);
  server.listen({ fd }, () => setBacklog(fd, BACKLOG));
  return { stop: () => void server.close() };
}

function accept(raw: Socket): void {
  const secure = new TLSSocket(raw, {
    isServer: true,
    ALPNProtocols: ["http/1.1"],
    secureOptions: SECURE_OPTIONS.secureOptions,
    // Without a certificate the handshake ends in an alert.
    SNICallback: (name, done) => done(null, contextOf(name.toLowerCase())),
  });
  const socket = socketOf(secure, raw);
  const { client, over } = take(gate, socket, HTTPS);
  let problem: Error | undefined;
  secure.on("secure", () => shaken(socket, true));
  secure.on("data", (chunk: Buffer) => client.phase !== HANDSHAKE && events.data(socket, chunk));
  secure.on("drain", () => events.drain(socket));
  secure.on("end", () => (client.phase === HANDSHAKE ? drop(client, true) : events.end(socket)));
  secure.on("error", (error) => {
    problem = error;
    raw.destroy();
  });
  secure.on("close", () => events.close(socket, problem));
  raw.on("error", () => raw.destroy());
  if (over > 0) drop(client, true);
}

/** A connection with the members of Bun's sockets that the relay uses. */
function socketOf(secure: TLSSocket, raw: Socket): Bun.Socket<Client> {
  const { remoteAddress = "", remotePort = 0, localAddress = "", localPort = 0 } = raw;
  const socket = {
    data: null as unknown as Client,
    remoteAddress,
    remotePort,
    localAddress,
    localPort,
    getServername: () => (secure as TLSSocket & { servername?: string | false }).servername,
    // All or nothing: what node:tls has taken it sends in time.
    write(chunk: Buffer, start = 0, length = chunk.length - start): number {
      if (secure.writableNeedDrain || !secure.writable) return 0;
      secure.write(chunk.subarray(start, start + length));
      return length;
    },
    pause: () => void secure.pause(),
    resume: () => void secure.resume(),
    shutdown: () => void secure.end(),
    end: () => void secure.destroySoon(),
    terminate(): void {
      secure.destroy();
      raw.resetAndDestroy();
    },
    setKeepAlive: (isOn: boolean, delay: number) => raw.setKeepAlive(isOn, delay),
  };
  return socket as unknown as Bun.Socket<Client>;
}
