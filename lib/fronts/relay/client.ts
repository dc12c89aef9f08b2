// dp's side of the relay: commands over the control socket in the relay's folder.
import { join } from "node:path";
import { DpError, codeOf } from "../../errors.ts";
import type { Edge } from "../../config/tls.ts";
import type { Drained, EdgeStatus, FrontStatus, Maintenance, RouteChange, Target } from "../../contracts/front.ts";
import type { Command, Reply } from "./control.ts";
import { HOLD_TIME } from "./limits.ts";

/** How long the relay may take to answer, in ms, not counting the time that the command itself waits. */
const TIMEOUT = 10_000;

/** The name of no app: the status with its route has none. */
const NO_APP = "";

/** dp's side of the relay, which holds the public ports of all apps. Every call throws DpError "host" when it fails. */
export interface RelayClient {
  isRunning(): Promise<boolean>;
  /** The relay itself, without the routes, of which there may be thousands; null when it is not running. */
  relay(): Promise<Omit<FrontStatus, "routes"> | null>;
  /** The status, with the routes of all apps or of one. */
  status(app?: string): Promise<FrontStatus>;
  /** The same, or null when the relay is not running. */
  statusIfRunning(app?: string): Promise<FrontStatus | null>;
  /**
   * The status with the routes of some apps, or null when the relay is not running. With `isBrief` without their minutes.
   * An older relay tells of all apps, and the minutes.
   */
  statusOf(apps: readonly string[], isBrief: boolean): Promise<FrontStatus | null>;
  set(route: RouteChange): Promise<void>;
  /**
   * Sends every request whose head is read from now on to the target; null: answers them with 503. Returns the ms it
   * took.
   */
  point(app: string, target: Target | null): Promise<number>;
  /** Holds requests, each at most `limitMs`, until `resume`. */
  hold(app: string, limitMs?: number): Promise<void>;
  resume(app: string): Promise<void>;
  /** Answers requests with a page, except dp's own; null: the app serves again. */
  maintain(app: string, maintenance: Maintenance | null, pass: string): Promise<void>;
  /**
   * Waits until no request is in flight on a release, then closes its upgraded connections; cuts off the rest at the
   * timeout.
   */
  drain(app: string, id: string, timeoutMs: number): Promise<Drained>;
  remove(app: string): Promise<void>;
  /** Listens on the ports of the domains, for the routes that have some. */
  secure(edge: Edge): Promise<EdgeStatus | null>;
  /** Reads the certificate of a name again. */
  certify(name: string): Promise<void>;
}

/** The relay whose state is in the folder. */
export function relayAt(folder: string): RelayClient {
  const path = join(folder, "control.sock");
  const ask = <T>(command: Command, timeout = TIMEOUT) => exchange<T>(path, command, timeout);
  const status = (app?: string) => ask<FrontStatus>({ do: "status", ...(app === undefined ? {} : { app }) });
  const statusIfRunning = (app?: string) => orNull(status(app));
  const relay = () => statusIfRunning(NO_APP);
  return {
    isRunning: async () => (await relay()) !== null,
    relay,
    status,
    statusIfRunning,
    statusOf: (apps, isBrief) => orNull(ask<FrontStatus>({ do: "status", apps, isBrief })),
    set: (route) => ask({ do: "set", route }),
    point: (app, target) => ask<number>({ do: "point", app, target }),
    hold: (app, limitMs = HOLD_TIME) => ask({ do: "hold", app, limit: limitMs }),
    resume: (app) => ask({ do: "resume", app }),
    maintain: (app, maintenance, pass) => ask({ do: "maintain", app, maintenance, pass }),
    drain: (app, id, timeoutMs) => ask<Drained>({ do: "drain", app, id, timeout: timeoutMs }, timeoutMs + TIMEOUT),
    remove: (app) => ask({ do: "remove", app }),
    secure: (edge) => ask({ do: "secure", edge }),
    certify: (name) => ask({ do: "certificate", name }),
  };
}

const NOT_RUNNING = new Set(["ENOENT", "ECONNREFUSED", "ENOTDIR"]);
/** The relay accepted the connection and was killed before it answered. */
const ENDED = new Set([...NOT_RUNNING, "EPIPE", "ECONNRESET"]);

/** An answer of the relay; null when it is not running. */
async function orNull<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (ENDED.has(codeOf((error as DpError).cause) ?? "")) return null;
    throw error;
  }
}

/** Sends one command; returns the relay's answer, or throws DpError "host". */
async function exchange<T>(path: string, command: Command, timeout: number): Promise<T> {
  const answer = Promise.withResolvers<string>();
  const fail = (error: Error) => answer.reject(problemOf(path, error));
  const chunks: Buffer[] = [];
  let left = Buffer.from(`${JSON.stringify(command)}\n`);
  const send = (socket: Bun.Socket) => void (left = left.subarray(Math.max(0, socket.write(left))));
  const socket = {
    open: send,
    drain: send,
    data: (_: Bun.Socket, chunk: Buffer) => void chunks.push(Buffer.from(chunk)),
    error: (_: Bun.Socket, error: Error) => fail(error),
    close: () => answer.resolve(Buffer.concat(chunks).toString()),
  };
  // Bun's sockets, because loading node:net costs 20 ms of CPU time.
  const connected = Bun.connect({ unix: path, socket }).catch(fail);
  const limit = setTimeout(() => {
    fail(new Error(`it did not answer within ${timeout / 1000} s`));
    void connected.then((open) => open?.terminate());
  }, timeout);
  try {
    return answerOf<T>(await answer.promise);
  } finally {
    clearTimeout(limit);
  }
}

function answerOf<T>(text: string): T {
  if (!text.endsWith("\n")) {
    const cause = Object.assign(new Error("the control socket was closed"), { code: "ECONNRESET" });
    throw new DpError("host", "the relay ended before it answered", { hint: "dp reconcile", cause });
  }
  const reply = JSON.parse(text) as Reply;
  if ("ok" in reply) return reply.ok as T;
  throw new DpError("host", reply.error, reply.hint === undefined ? {} : { hint: reply.hint });
}

function problemOf(path: string, error: Error): DpError {
  const code = codeOf(error);
  if (NOT_RUNNING.has(code ?? ""))
    return new DpError("host", "the relay is not running", { hint: "dp reconcile", cause: error });
  if (code === "EACCES")
    return new DpError("host", `this user may not talk to the relay: ${path} belongs to another user`, {
      hint: "run the command as the user that dp was set up by, or with sudo",
      cause: error,
    });
  return new DpError("host", `the relay cannot be reached: ${error.message}`, { hint: "dp reconcile", cause: error });
}
