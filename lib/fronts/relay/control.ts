// The control socket: one line of JSON in, one line out, then the connection is closed.
import { chmodSync } from "node:fs";
import { DpError, messageOf } from "../../errors.ts";
import { removeFile } from "../../host/files.ts";
import type { Edge } from "../../config/tls.ts";
import type { FrontStatus, Maintenance, RouteChange, Target } from "../../contracts/front.ts";
import pkg from "../../../package.json" with { type: "json" };
import { readCertificate } from "./domains.ts";
import { edgeStatus } from "./edge.ts";
import { CONTROL_SIZE } from "./limits.ts";
import {
  drainApp,
  holdApp,
  maintainRoute,
  pointRoute,
  removeRoute,
  resumeApp,
  secureRoutes,
  setRoute,
  statusOf,
} from "./routes.ts";

/** The commands that a client may send. */
export type Command =
  | { do: "status"; app?: string; apps?: readonly string[]; isBrief?: boolean }
  | { do: "set"; route: RouteChange }
  | { do: "point"; app: string; target: Target | null }
  | { do: "hold"; app: string; limit: number }
  | { do: "resume"; app: string }
  | { do: "maintain"; app: string; maintenance: Maintenance | null; pass: string }
  | { do: "drain"; app: string; id: string; timeout: number }
  | { do: "remove"; app: string }
  | { do: "secure"; edge: Edge }
  | { do: "certificate"; name: string };

/** The answer to a command. */
export type Reply = { ok: unknown } | { error: string; hint?: string };

const since = new Date().toISOString();

const status = (names: readonly string[] | undefined, isBrief: boolean): FrontStatus => ({
  pid: process.pid,
  version: pkg.version,
  since,
  rss: process.memoryUsage.rss(),
  edge: edgeStatus(),
  routes: statusOf(names, isBrief),
});

// Changes run one after the other: each writes the whole state file.
let changes: Promise<unknown> = Promise.resolve();

function inTurn<T>(change: () => Promise<T>): Promise<T> {
  const done = changes.then(change);
  changes = done.catch(() => undefined);
  return done;
}

async function obey(folder: string, command: Command): Promise<unknown> {
  const begun = performance.now();
  switch (command.do) {
    case "status":
      return status(command.app === undefined ? command.apps : [command.app], command.isBrief === true);
    case "set":
      return inTurn(() => setRoute(folder, command.route));
    case "point":
      await inTurn(() => pointRoute(folder, command.app, command.target));
      return performance.now() - begun;
    case "hold":
      return holdApp(command.app, command.limit);
    case "resume":
      return resumeApp(command.app);
    case "maintain":
      return inTurn(() => maintainRoute(folder, command.app, command.maintenance, command.pass));
    case "drain":
      return drainApp(command.app, command.id, command.timeout);
    case "remove":
      return inTurn(() => removeRoute(folder, command.app));
    case "secure":
      return inTurn(() => secureRoutes(folder, command.edge));
    case "certificate":
      return readCertificate(command.name);
    default:
      throw new DpError("host", "the relay does not know this command: it is older than this dp", {
        hint: "restart the relay",
      });
  }
}

async function reply(folder: string, line: string): Promise<Reply> {
  try {
    return { ok: (await obey(folder, JSON.parse(line) as Command)) ?? null };
  } catch (error) {
    const hint = error instanceof DpError ? error.hint : undefined;
    return { error: messageOf(error), ...(hint === undefined ? {} : { hint }) };
  }
}

/** A client of the control socket: what it has said, and what it was not sent yet. */
interface Caller {
  decoder: TextDecoder;
  text: string;
  isAnswered: boolean;
  left: Uint8Array;
}

type Call = Bun.Socket<Caller>;

function hear(folder: string, socket: Call, chunk: Uint8Array): void {
  const caller = socket.data;
  if (caller.isAnswered) return;
  caller.text += caller.decoder.decode(chunk, { stream: true });
  const end = caller.text.indexOf("\n");
  if (end === -1) return void (caller.text.length > CONTROL_SIZE && socket.terminate());
  caller.isAnswered = true;
  void reply(folder, caller.text.slice(0, end)).then((answer) => {
    caller.left = Buffer.from(`${JSON.stringify(answer)}\n`);
    speak(socket);
  });
}

/** Sends what the client takes of its answer; the last byte is the end of the connection. */
function speak(socket: Call): void {
  const caller = socket.data;
  if (caller.left.length === 0) return;
  caller.left = caller.left.subarray(Math.max(0, socket.write(caller.left)));
  if (caller.left.length === 0) socket.end();
}

/**
 * Listens on the control socket, which only dp's own user can open. The caller has made sure that no other relay is
 * running. Bun's sockets, because loading node:net takes 6 ms of the relay's start.
 */
export async function listenControl(folder: string): Promise<void> {
  const path = `${folder}/control.sock`;
  await removeFile(path);
  const socket: Bun.SocketHandler<Caller> = {
    open: (call) =>
      void (call.data = { decoder: new TextDecoder(), text: "", isAnswered: false, left: new Uint8Array() }),
    data: (call, chunk) => hear(folder, call, chunk),
    drain: speak,
    // A client that has asked may end its own side, and still gets its answer.
    end: (call) => void (call.data.isAnswered || call.terminate()),
    error: (call, problem) => {
      console.error(problem);
      call.terminate();
    },
  };
  const mask = process.umask(0o177);
  try {
    Bun.listen({ unix: path, allowHalfOpen: true, socket });
  } finally {
    process.umask(mask);
  }
  chmodSync(path, 0o600);
}
