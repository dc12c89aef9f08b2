// The system's bus, over which systemd answers in a tenth of the time that its programs need to start and to ask it.
import { callBytes, firstMessage, type Call } from "./message.ts";

/** The socket of the system's bus. */
export const SYSTEM_BUS = "/run/dbus/system_bus_socket";

/** A connection to a bus. */
export interface Bus {
  /** Calls a method; answers its values. Throws an Error when the bus or the service refuses, or does not answer. */
  call(call: Call): Promise<unknown[]>;
  isOpen(): boolean;
}

const HELLO: Call = {
  to: "org.freedesktop.DBus",
  at: "/org/freedesktop/DBus",
  interface: "org.freedesktop.DBus",
  method: "Hello",
};

/** Opens a connection; a call is given up after `patience` ms. It keeps no process alive but for a call. */
export function openBus(path: string, patience: number): Bus {
  const waiting = new Map<number, PromiseWithResolvers<unknown[]>>();
  let socket: Bun.Socket | null = null;
  let isOver = false;
  let isKnown = false;
  let read = Buffer.alloc(0);
  // Who this is, and the first calls at once: the bus reads them in turn.
  let unsent = Buffer.from(`\0AUTH EXTERNAL ${Buffer.from(String(process.getuid!())).toString("hex")}\r\nBEGIN\r\n`);
  let serial = 0;
  const end = (why: string) => {
    isOver = true;
    for (const { reject } of waiting.values()) reject(new Error(why));
    waiting.clear();
    socket?.terminate();
  };
  const send = () => {
    if (socket !== null && unsent.length > 0) unsent = unsent.subarray(Math.max(0, socket.write(unsent)));
  };
  const take = (chunk: Buffer) => {
    read = Buffer.concat([read, chunk]);
    if (!isKnown) {
      const line = read.indexOf("\r\n");
      if (line < 0) return;
      if (!read.toString("latin1", 0, line).startsWith("OK ")) throw new Error("the bus does not let this user in");
      isKnown = true;
      read = read.subarray(line + 2);
    }
    for (let next = firstMessage(read); next !== null; next = firstMessage(read)) {
      read = read.subarray(next.size);
      const { kind, answers, values } = next.message;
      if (kind === "answer") waiting.get(answers)?.resolve(values);
      else if (kind === "error") waiting.get(answers)?.reject(new Error(String(values[0] ?? "refused")));
    }
  };
  const call = (wanted: Call): Promise<unknown[]> => {
    if (isOver) return Promise.reject(new Error("the connection to the bus is closed"));
    const mine = (serial += 1);
    const answer = Promise.withResolvers<unknown[]>();
    waiting.set(mine, answer);
    unsent = Buffer.concat([unsent, callBytes(mine, wanted)]);
    queueMicrotask(send); // calls of the same moment go together
    const limit = setTimeout(() => end("the bus does not answer"), patience);
    return answer.promise.finally(() => {
      clearTimeout(limit);
      waiting.delete(mine);
    });
  };
  const handlers = {
    open(opened: Bun.Socket) {
      socket = opened;
      opened.unref();
      send();
    },
    drain: send,
    data(_: Bun.Socket, chunk: Buffer) {
      try {
        take(chunk);
      } catch (error) {
        end(String(error));
      }
    },
    error: (_: Bun.Socket, error: Error) => end(error.message),
    close: () => end("the bus has closed the connection"),
  };
  Bun.connect({ unix: path, socket: handlers }).catch((error: Error) => end(error.message));
  call(HELLO).catch(() => undefined); // whoever calls next is told
  return { call, isOpen: () => !isOver };
}
