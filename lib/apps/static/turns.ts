// The requests of a connection, one after the other: the next one starts only when the client reads the answer.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** A connection ends when it sends more requests than this ahead of their answers. */
const MOST = 100;

/**
 * A handler that gets a request only after the previous answer on the same connection has been handed to the client:
 * requests cost a client nothing, and unread answers would fill the memory.
 */
export function inTurn(handle: Handler): Handler {
  const waiting = new WeakMap<Socket, (() => void)[]>();
  return (request, response) => {
    const { socket } = request;
    const queue = waiting.get(socket);
    const begin = () => {
      // The answer is sent, or given up: then the socket has closed, and queued requests with it.
      response.once("close", () => {
        const next = socket.destroyed ? undefined : waiting.get(socket)?.shift();
        if (next) next();
        else waiting.delete(socket);
      });
      handle(request, response);
    };
    if (queue === undefined) {
      waiting.set(socket, []);
      begin();
    } else if (queue.push(begin) > MOST) socket.destroy();
  };
}
