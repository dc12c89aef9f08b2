// Apps behind the relay: real servers in processes of their own, and scripted ones that answer byte by byte.
import { freePort, until } from "../../../support/box-host.ts";

/** How an app is written: with Bun.serve, with node:http, or so that SIGTERM kills it at once. */
export type Kind = "bun" | "node" | "harsh";

/** An app that runs. */
export interface TestApp {
  name: string;
  port: number;
  pid: number;
  /** Ends it, as a manager would: SIGTERM, and SIGKILL after 10 s. */
  stop(): Promise<void>;
}

const BUN = `
const { PORT: port, NAME: name, KIND: kind } = process.env;
const big = Buffer.alloc(1 << 20, "0123456789abcdef");
const server = Bun.serve({
  port, hostname: "127.0.0.1", idleTimeout: 0, maxRequestBodySize: 1 << 30,
  websocket: { message(ws, m) { ws.send(m); } },
  async fetch(request, server) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/ws") return server.upgrade(request) ? undefined : new Response("no upgrade", { status: 400 });
    if (pathname === "/slow") { await Bun.sleep(500); return new Response(name); }
    if (pathname === "/echo") return new Response(await request.arrayBuffer());
    if (pathname === "/headers") return Response.json(Object.fromEntries(request.headers));
    if (pathname === "/events") return new Response(new ReadableStream({ async pull(c) { c.enqueue("data: " + name + "\\n\\n"); await Bun.sleep(20); } }), { headers: { "content-type": "text/event-stream" } });
    if (pathname === "/count") { let n = 0; for await (const chunk of request.body) n += chunk.length; return new Response(String(n)); }
    if (pathname === "/sized") return new Response(Buffer.alloc(Number(searchParams.get("bytes")), "x"));
    if (pathname === "/big") { let left = Number(searchParams.get("mb")); return new Response(new ReadableStream({ pull(c) { if (left-- > 0) c.enqueue(big); else c.close(); } })); }
    return new Response(name);
  },
});
if (kind === "bun") process.on("SIGTERM", () => server.stop().then(() => process.exit(0)));
console.log("up");
`;

const NODE = `
const http = require("node:http");
const { PORT: port, NAME: name } = process.env;
const server = http.createServer((request, response) => {
  if (request.url === "/slow") return void setTimeout(() => response.end(name), 500);
  if (request.url === "/echo") return void request.pipe(response);
  response.end(name);
});
server.listen(port, "127.0.0.1", () => console.log("up"));
process.on("SIGTERM", () => { server.close(() => process.exit(0)); server.closeIdleConnections(); });
`;

/** Starts an app; it answers "/" with its name when this returns. */
export async function startApp(kind: Kind, name: string, at?: number): Promise<TestApp> {
  const port = at ?? (await freePort());
  const [program, script] = kind === "node" ? [Bun.which("node") ?? process.execPath, NODE] : [process.execPath, BUN];
  const env = { PATH: process.env["PATH"]!, PORT: String(port), NAME: name, KIND: kind };
  const child = Bun.spawn([program, "-e", script], { cwd: "/", env, stdio: ["ignore", "pipe", "inherit"] });
  const reader = child.stdout.getReader();
  const said = await reader.read();
  if (said.done) throw new Error(`the app ${name} did not start`);
  return {
    name,
    port,
    pid: child.pid,
    async stop() {
      child.kill("SIGTERM");
      const killer = setTimeout(() => child.kill("SIGKILL"), 10_000);
      await child.exited;
      clearTimeout(killer);
    },
  };
}

/** One connection that a scripted app got. */
export interface Visit {
  /** All that came, as latin1. */
  got: string;
  /** "open", "half" after the other side's FIN, "reset" or "closed". */
  state: string;
  write(text: string | Buffer): void;
  /** FIN. */
  end(): void;
  /** close(2): a reset, if there is something that was not read. */
  close(): void;
  /** RST. */
  reset(): void;
  pause(): void;
}

/** An app whose every byte the test decides. */
export interface Scripted {
  port: number;
  visits: Visit[];
  /** What came on all connections, piece by piece, in the order in which it came. */
  came: string[];
  stop(): void;
}

/** Starts a scripted app in this process; `onData` is called whenever bytes came. */
export function scripted(onData: (visit: Visit, count: number) => void, port = 0): Scripted {
  const visits: Visit[] = [];
  const came: string[] = [];
  const queues = new Map<unknown, Buffer>();
  const flush = (socket: Bun.Socket<Visit>) => {
    const queue = queues.get(socket);
    if (queue) queues.set(socket, queue.subarray(Math.max(0, socket.write(queue))));
  };
  const listener = Bun.listen<Visit>({
    hostname: "127.0.0.1",
    port,
    allowHalfOpen: true,
    socket: {
      open(socket) {
        socket.data = {
          got: "",
          state: "open",
          write(text) {
            const more = typeof text === "string" ? Buffer.from(text, "latin1") : text;
            queues.set(socket, Buffer.concat([queues.get(socket) ?? Buffer.alloc(0), more]));
            flush(socket);
          },
          end: () => socket.shutdown(),
          close: () => socket.end(),
          reset: () => socket.terminate(),
          pause: () => socket.pause(),
        };
        visits.push(socket.data);
      },
      data(socket, chunk) {
        const text = chunk.toString("latin1");
        socket.data.got += text;
        came.push(text);
        onData(socket.data, visits.length);
      },
      drain: flush,
      end: (socket) => void (socket.data.state = "half"),
      close: (socket, error) => void (socket.data.state = error ? "reset" : "closed"),
    },
  });
  return { port: listener.port, visits, came, stop: () => listener.stop(true) };
}

export { freePort, until };
