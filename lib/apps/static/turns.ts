// The requests of a connection, one after the other: what is not asked for yet by reading is not made either.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** More requests than these on a connection, sent ahead of their answers, end it. */
const MOST = 100;

/**
 * A handler that gets a request when the answer to the one before it on the same connection has been handed to the
 * client: requests cost nothing, and answers that nobody reads would fill the memory.
 */
export function inTurn(handle: Handler): Handler {
  const waiting = new WeakMap<Socket, (() => void)[]>();
  return (request, response) => {
    const { socket } = request;
    const queue = waiting.get(socket);
    const begin = () => {
      // Sent whole, or given up: then the socket has ended, and whoever waits for it with it.
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
