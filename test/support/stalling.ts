// A way to a server that lets bytes through, slowly or only up to a time, as a network or a busy server does.

/** A port on loopback that leads to another one. */
export interface Stalling {
  port: number;
  /** Milliseconds that each piece of an answer is held back. */
  delay: number;
  /** Pieces of answers that still come through; none after them, and no connection ends. */
  left: number;
  /** Connections that were made. */
  count(): number;
  stop(): void;
}

interface Side {
  server: Bun.Socket<null> | null;
  queue: Uint8Array[];
}

/** Starts it; at first all comes through at once. */
export function stalling(to: number): Stalling {
  let count = 0;
  const open = new Set<{ end(): void }>();
  const listener = Bun.listen<Side>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      async open(client) {
        count++;
        open.add(client);
        client.data = { server: null, queue: [] };
        const server = await Bun.connect<null>({
          hostname: "127.0.0.1",
          port: to,
          socket: {
            async data(_, chunk) {
              if (self.left-- <= 0) return;
              const bytes = Uint8Array.from(chunk);
              if (self.delay > 0) await Bun.sleep(self.delay);
              client.write(bytes);
            },
            close: () => void (self.left > 0 && client.end()),
            error() {},
          },
        });
        open.add(server);
        client.data.server = server;
        for (const chunk of client.data.queue) server.write(chunk);
      },
      data({ data }, chunk) {
        if (data.server === null) data.queue.push(Uint8Array.from(chunk));
        else data.server.write(chunk);
      },
      close: ({ data }) => void data.server?.end(),
      error() {},
    },
  });
  const self: Stalling = {
    ...{ port: listener.port, delay: 0, left: Infinity },
    count: () => count,
    stop() {
      for (const socket of open) socket.end();
      listener.stop(true);
    },
  };
  return self;
}
