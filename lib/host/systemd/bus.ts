// The system's bus, over which systemd answers in a tenth of the time that its programs need to start and to ask it.
import { callBytes, firstMessage, type Call, type Message } from "./message.ts";

/** The socket of the system's bus. */
export const SYSTEM_BUS = "/run/dbus/system_bus_socket";

/** A connection to a bus. */
export interface Bus {
  /**
   * Calls a method; answers its values. Throws an Error when the bus does not answer, or the service refuses: then its
   * `code` is the name of the refusal.
   */
  call(call: Call): Promise<unknown[]>;
  /** Hands on the values of each signal of that name from now on, of those that it has asked for; answers what ends that. */
  hear(signal: string, heard: (values: unknown[]) => void): () => void;
  isOpen(): boolean;
}

const HELLO: Call = {
  to: "org.freedesktop.DBus",
  at: "/org/freedesktop/DBus",
  interface: "org.freedesktop.DBus",
  method: "Hello",
};

interface Connection {
  socket: Bun.Socket | null;
  unsent: Buffer;
  read: Buffer<ArrayBufferLike>;
  /** The bus has let this user in. */
  isIn: boolean;
  isOver: boolean;
  /** The number of the last call. */
  last: number;
  waiting: Map<number, PromiseWithResolvers<unknown[]>>;
  /** Whoever listens, and to which signal. */
  listeners: Set<Listener>;
}

interface Listener {
  signal: string;
  heard: (values: unknown[]) => void;
}

/** Opens a connection; a call is given up after `patience` ms. It keeps no process alive but for a call. */
export function openBus(path: string, patience: number): Bus {
  const user = Buffer.from(String(process.getuid!())).toString("hex");
  const it: Connection = {
    socket: null,
    // Who this is, and the first calls at once: the bus reads them in turn.
    unsent: Buffer.from(`\0AUTH EXTERNAL ${user}\r\nBEGIN\r\n`),
    read: Buffer.alloc(0),
    isIn: false,
    isOver: false,
    last: 0,
    waiting: new Map(),
    listeners: new Set(),
  };
  const handlers = {
    open(socket: Bun.Socket) {
      it.socket = socket;
      socket.unref();
      send(it);
    },
    drain: () => send(it),
    data(_: Bun.Socket, chunk: Buffer) {
      try {
        take(it, chunk);
      } catch (error) {
        end(it, String(error));
      }
    },
    error: (_: Bun.Socket, error: Error) => end(it, error.message),
    close: () => end(it, "the bus has closed the connection"),
  };
  Bun.connect({ unix: path, socket: handlers }).catch((error: Error) => end(it, error.message));
  callOn(it, HELLO, patience).catch(() => undefined); // whoever calls next is told
  return {
    call: (call) => callOn(it, call, patience),
    hear: (signal, heard) => listenOn(it, { signal, heard }),
    isOpen: () => !it.isOver,
  };
}

function listenOn({ listeners }: Connection, listener: Listener): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

function callOn(it: Connection, call: Call, patience: number): Promise<unknown[]> {
  if (it.isOver) return Promise.reject(new Error("the connection to the bus is closed"));
  const mine = (it.last += 1);
  const answer = Promise.withResolvers<unknown[]>();
  it.waiting.set(mine, answer);
  it.unsent = Buffer.concat([it.unsent, callBytes(mine, call)]);
  queueMicrotask(() => send(it)); // calls of the same moment go together
  const limit = setTimeout(() => end(it, "the bus does not answer"), patience);
  return answer.promise.finally(() => {
    clearTimeout(limit);
    it.waiting.delete(mine);
  });
}

function send(it: Connection): void {
  if (it.socket === null || it.unsent.length === 0) return;
  it.unsent = it.unsent.subarray(Math.max(0, it.socket.write(it.unsent)));
}

/** Reads what the bus has sent; throws an Error when it is no bus. */
function take(it: Connection, chunk: Buffer): void {
  it.read = Buffer.concat([it.read, chunk]);
  if (!it.isIn) {
    const line = it.read.indexOf("\r\n");
    if (line < 0) return;
    if (!it.read.toString("latin1", 0, line).startsWith("OK ")) throw new Error("the bus does not let this user in");
    it.isIn = true;
    it.read = it.read.subarray(line + 2);
  }
  for (let next = firstMessage(it.read); next !== null; next = firstMessage(it.read)) {
    it.read = it.read.subarray(next.size);
    handOn(it, next.message);
  }
}

function handOn(it: Connection, { kind, answers, values, error, signal }: Message): void {
  if (kind === "answer") it.waiting.get(answers)?.resolve(values);
  else if (kind === "error")
    it.waiting.get(answers)?.reject(Object.assign(new Error(String(values[0] ?? "refused")), { code: error }));
  else if (kind === "signal") for (const one of it.listeners) if (one.signal === signal) one.heard(values);
}

function end(it: Connection, why: string): void {
  it.isOver = true;
  for (const { reject } of it.waiting.values()) reject(new Error(why));
  it.waiting.clear();
  it.socket?.terminate();
}
