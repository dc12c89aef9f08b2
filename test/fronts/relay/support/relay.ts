// A relay in a process of its own, in a folder of its own, and raw bytes to talk to it.
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { RouteChange } from "../../../../lib/contracts/front.ts";
import { relayAt, type RelayClient } from "../../../../lib/fronts/relay/client.ts";
import { freePort, until } from "../../../support/box-host.ts";

const PROCESS = resolve(import.meta.dir, "../../../../lib/fronts/relay/process.ts");

/** A relay under test. */
export interface TestRelay {
  folder: string;
  front: RelayClient;
  pid(): number;
  /** What it logged. */
  log(): string;
  /** Makes a route for an app on a free port; gives the public port. */
  add(app: string, target: number | null, more?: Partial<RouteChange>): Promise<number>;
  start(): Promise<void>;
  kill(signal: "SIGTERM" | "SIGKILL"): Promise<number>;
  /** Resident memory in bytes: now, and the most that it was. */
  rss(): number;
  peak(): number;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

/** Starts a relay; `env`: more variables; `files`: how many files it may have open. */
export async function startRelay(env: Record<string, string> = {}, files?: number): Promise<TestRelay> {
  const limited = files === undefined ? [] : ["prlimit", `--nofile=${files}:${files}`];
  const folder = mkdtempSync(join(tmpdir(), "dp-relay-"));
  const log = join(folder, "log");
  const front = relayAt(join(folder, "state"));
  let child: Bun.Subprocess | null = null;
  const memory = (name: string) =>
    Number(new RegExp(`${name}:\\s+(\\d+)`).exec(readFileSync(`/proc/${child!.pid}/status`, "utf8"))![1]) * 1024;
  const relay: TestRelay = {
    folder: join(folder, "state"),
    front,
    pid: () => child!.pid,
    log: () => readFileSync(log, "utf8"),
    async add(app, target, more = {}) {
      const listen = { host: "127.0.0.1", port: await freePort() };
      const place = target === null ? null : { id: "1-aaaaaaa", port: target };
      await front.set({ app, listen, protocol: "http", trustedProxies: [], target: place, ...more });
      return more.listen?.port ?? listen.port;
    },
    async start() {
      const output = openSync(log, "a");
      const argv = [...limited, process.execPath, "--no-env-file", "--config=/dev/null", PROCESS, relay.folder];
      child = Bun.spawn(argv, {
        cwd: "/",
        env: { PATH: process.env["PATH"]!, ...env },
        stdio: ["ignore", "ignore", output],
      });
      closeSync(output);
      await until("the relay answers", () => front.isRunning(), 15_000);
    },
    async kill(signal) {
      child!.kill(signal);
      return child!.exited;
    },
    rss: () => memory("VmRSS"),
    peak: () => memory("VmHWM"),
    async stop() {
      await relay.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
  await relay.start();
  return relay;
}

/** What a raw exchange came to. */
export interface Raw {
  text: string;
  /** "open" when the time was over, "eof", or "reset". */
  ending: string;
}

/** A raw connection to a port on 127.0.0.1. */
export interface RawClient {
  text(): string;
  ending(): string;
  write(text: string | Buffer): void;
  /** FIN; what comes is still read. */
  end(): void;
  reset(): void;
  close(): void;
  /** Waits until the text holds `part` (or matches), or the connection has ended. */
  until(part: string | RegExp | ((text: string) => boolean), deadline?: number): Promise<Raw>;
}

/** Opens a raw connection. */
export async function rawClient(port: number): Promise<RawClient> {
  let text = "";
  let ending = "open";
  let hasEnded = false;
  let queue = Buffer.alloc(0);
  const flush = () => {
    if (queue.length > 0) queue = queue.subarray(Math.max(0, socket.write(queue)));
  };
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    allowHalfOpen: true,
    socket: {
      data: (_socket, chunk) => void (text += chunk.toString("latin1")),
      drain: flush,
      end(self) {
        ending = "eof";
        if (hasEnded) self.end();
      },
      close: (_socket, error) => void (ending = error ? "reset" : "eof"),
    },
  });
  return {
    text: () => text,
    ending: () => ending,
    write(bytes) {
      queue = Buffer.concat([queue, typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes]);
      flush();
    },
    end() {
      hasEnded = true;
      socket.shutdown();
    },
    reset: () => socket.terminate(),
    close: () => socket.end(),
    async until(part, deadline = 30_000) {
      const isThere = () =>
        typeof part === "string" ? text.includes(part) : part instanceof RegExp ? part.test(text) : part(text);
      await until(
        `${String(part)} in ${JSON.stringify(text.slice(-300))}`,
        () => isThere() || ending !== "open",
        deadline,
      );
      return { text, ending };
    },
  };
}

/** Sends bytes on a fresh connection, then waits for its end. */
export async function raw(port: number, bytes: string | Buffer, deadline = 30_000): Promise<Raw> {
  const client = await rawClient(port);
  client.write(bytes);
  const result = await client.until(() => false, deadline);
  client.close();
  return result;
}

export { until };
