// A bounded load over raw sockets, without a single retry: what fails here would fail for a user.
import { until } from "../../../support/box-host.ts";
import { type Connection, connectTo } from "./load-connection.ts";

/** What the load is made of. Paths that are not given are not asked for. */
export interface LoadOptions {
  port: number;
  /** Requests a second of all keep-alive and fresh clients together, about; default: as they come. */
  rate?: number;
  /** Clients that keep their connection; half of their requests are POSTs when `echo` is given. */
  keepAlive?: number;
  /** Clients that connect for every request. */
  fresh?: number;
  /** Clients that always have a request to `slow` in flight. */
  slow?: number;
  /** Clients with one long download after the other. */
  downloads?: number;
  /** Clients with a websocket that is echoed. */
  websockets?: number;
  /** Clients that follow a stream of events without end. */
  streams?: number;
  paths?: { quick?: string; echo?: string; slow?: string; download?: string; websocket?: string; events?: string };
  host?: string;
  /** The port speaks TLS. */
  isSecure?: boolean;
  /** Milliseconds between two requests of a client, at most. */
  think?: number;
}

/** One thing that went wrong. */
export interface Failure {
  /** Milliseconds since the start. */
  at: number;
  kind: string;
  why: string;
}

/** What came of it. Times in ms. */
export interface LoadResult {
  requests: number;
  failed: number;
  /** The first twenty. */
  failures: Failure[];
  /** Why -> how many, of all. */
  reasons: Record<string, number>;
  /** The longest time in which no request ended. */
  longestGap: number;
  p50: number;
  p99: number;
  /** Answers by their body's first 40 bytes, of `quick` requests. */
  answers: Record<string, number>;
  websockets: { opened: number; closed: number; messages: number; failed: number };
  /** `messages`: pieces that came. */
  streams: { opened: number; closed: number; messages: number; failed: number };
}

/** A load that runs until it is stopped. */
export interface Load {
  stop(): Promise<LoadResult>;
  /** Waits for a `quick` request with this answer. */
  heard(answer: string): Promise<unknown>;
  soFar(): LoadResult;
}

const TIMEOUT = 20_000;

/** Starts a load. */
export function load(options: LoadOptions): Load {
  const begun = performance.now();
  const latencies: number[] = [];
  const failures: Failure[] = [];
  const reasons: Record<string, number> = {};
  const answers: Record<string, number> = {};
  const websockets = { opened: 0, closed: 0, messages: 0, failed: 0 };
  const streams = { opened: 0, closed: 0, messages: 0, failed: 0 };
  const paths = { quick: "/", ...options.paths };
  const host = options.host ?? `127.0.0.1:${options.port}`;
  let [requests, failed, lastEnd, longestGap] = [0, 0, begun, 0];
  let isStopping = false;

  const fail = (kind: string, error: unknown) => {
    failed++;
    const why = error instanceof Error ? ((error as { code?: string }).code ?? error.message) : String(error);
    reasons[why] = (reasons[why] ?? 0) + 1;
    if (failures.length < 20) failures.push({ at: Math.round(performance.now() - begun), kind, why });
  };
  const ended = (from: number) => {
    const now = performance.now();
    latencies.push(now - from);
    longestGap = Math.max(longestGap, now - lastEnd);
    lastEnd = now;
  };
  const head = (method: string, path: string, more = "") =>
    `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`;

  /** One request; the connection that may carry the next one. */
  async function ask(kind: string, old: Connection | null, bytes: Buffer, expected: Buffer | null) {
    let connection = old?.isClosed() === false ? old : null;
    const from = performance.now();
    const isReused = connection !== null;
    requests++;
    try {
      connection ??= await connectTo(options.port, options.isSecure ? host : undefined);
      const answer = await connection.ask(bytes, TIMEOUT);
      if (answer.status !== 200) throw new Error(`status ${answer.status}: ${answer.body.toString().trim()}`);
      if (expected !== null && !answer.body.equals(expected)) throw new Error("another body than the one expected");
      if (kind.startsWith("quick")) {
        const body = answer.body.toString("utf8", 0, 40);
        answers[body] = (answers[body] ?? 0) + 1;
      }
      ended(from);
      if (!answer.isClosing) return connection;
    } catch (error) {
      fail(isReused ? `${kind}, kept connection` : kind, error);
    }
    connection?.close();
    return null;
  }

  const clients = (options.keepAlive ?? 0) + (options.fresh ?? 0);
  const pause = options.rate === undefined ? 0 : (1000 * clients) / options.rate;

  async function quick(keeps: boolean): Promise<void> {
    let connection: Connection | null = null;
    // Clients in step would all send their GETs at once, and nothing between.
    await Bun.sleep(Math.random() * pause);
    for (let count = 0; !isStopping; count++) {
      const isPost = paths.echo !== undefined && count % 2 === 1;
      const body = isPost ? Buffer.from(crypto.getRandomValues(new Uint8Array(1024))) : null;
      const more = (keeps ? "" : "Connection: close\r\n") + (isPost ? "Content-Length: 1024\r\n" : "");
      const start = Buffer.from(isPost ? head("POST", paths.echo!, more) : head("GET", paths.quick, more));
      const kind = `${isPost ? "echo" : "quick"} ${keeps ? "keep-alive" : "fresh"}`;
      connection = await ask(kind, connection, body ? Buffer.concat([start, body]) : start, body);
      if (!keeps) {
        connection?.close();
        connection = null;
      }
      await Bun.sleep(Math.max(pause, Math.random() * (options.think ?? 10)));
    }
    connection?.close();
  }

  async function repeat(kind: string, path: string): Promise<void> {
    let connection: Connection | null = null;
    while (!isStopping) {
      connection = await ask(kind, connection, Buffer.from(head("GET", path)), null);
      if (connection === null) await Bun.sleep(10);
    }
    connection?.close();
  }

  async function websocket(path: string): Promise<void> {
    const more =
      "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    while (!isStopping) {
      try {
        const connection = await connectTo(options.port, options.isSecure ? host : undefined);
        const answer = await connection.ask(head("GET", path, more), TIMEOUT);
        if (answer.status !== 101) throw new Error(`status ${answer.status}`);
        websockets.opened++;
        await talk(connection);
      } catch (error) {
        websockets.failed++;
        fail("websocket", error);
        await Bun.sleep(10);
      }
    }
  }

  /** Sends a frame when the one before came back, until the connection ends. */
  function talk(connection: Connection): Promise<void> {
    return new Promise((resolve) => {
      // A masked text frame with mask 0, and the same frame as a server sends it.
      const frame = Buffer.from([0x81, 0x85, 0, 0, 0, 0, ...Buffer.from("hello")]);
      const timer = setInterval(() => (isStopping ? connection.close() : connection.write(frame)), 25);
      connection.onData = () => void websockets.messages++;
      const done = () => {
        clearInterval(timer);
        resolve();
      };
      connection.onClose = () => {
        websockets.closed++;
        done();
        connection.close();
      };
      const { close } = connection;
      connection.close = () => {
        close();
        done();
      };
    });
  }

  /** Follows one stream after the other; a stream that ends while the load runs is counted. */
  async function stream(path: string): Promise<void> {
    while (!isStopping) {
      try {
        const connection = await connectTo(options.port, options.isSecure ? host : undefined);
        let begun = "";
        await new Promise<void>((resolve, reject) => {
          connection.onData = (chunk) => {
            if (begun === "") streams.opened++;
            begun ||= chunk.toString("latin1", 0, 12);
            streams.messages++;
            if (!begun.startsWith("HTTP/1.1 200")) reject(new Error(begun));
            if (!isStopping) return;
            connection.close();
            resolve();
          };
          connection.onClose = (why) => {
            streams.closed++;
            if (begun === "") reject(new Error(why));
            resolve();
          };
          connection.write(Buffer.from(head("GET", path)));
        });
        connection.close();
      } catch (error) {
        streams.failed++;
        fail("stream", error);
        await Bun.sleep(10);
      }
    }
  }

  const times = (count: number | undefined, start: () => Promise<void>) =>
    Array.from({ length: count ?? 0 }, () => start());
  const running = [
    ...times(options.keepAlive, () => quick(true)),
    ...times(options.fresh, () => quick(false)),
    ...times(paths.slow === undefined ? 0 : options.slow, () => repeat("slow", paths.slow!)),
    ...times(paths.download === undefined ? 0 : options.downloads, () => repeat("download", paths.download!)),
    ...times(paths.websocket === undefined ? 0 : options.websockets, () => websocket(paths.websocket!)),
    ...times(paths.events === undefined ? 0 : options.streams, () => stream(paths.events!)),
  ];

  const soFar = (): LoadResult => {
    const sorted = latencies.toSorted((a, b) => a - b);
    const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
    return {
      requests,
      failed,
      failures,
      reasons,
      longestGap,
      p50: at(0.5),
      p99: at(0.99),
      answers,
      websockets,
      streams,
    };
  };
  return {
    soFar,
    heard: (answer) => until(`the answer ${answer}`, () => isStopping || answers[answer] !== undefined),
    async stop() {
      longestGap = Math.max(longestGap, performance.now() - lastEnd);
      isStopping = true;
      await Promise.all(running);
      return soFar();
    },
  };
}
