// Holds connections to a port of 127.0.0.1 that do nothing, until stdin ends: holder.ts PORT http|websocket COUNT.
// Prints how many there are when as many as wanted were tried, after each has had an answer.
import { connect, type Socket } from "node:net";

const [port = "", kind = "http", wanted = "0"] = process.argv.slice(2);

/** Connections that are being made at a time. */
const BATCH = 100;
/** Milliseconds that one may take. */
const LIMIT = 10_000;
/** Source addresses, so that there are ports enough for all. */
const ADDRESSES = 8;

const UPGRADE =
  "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const [request, wish] =
  kind === "websocket"
    ? [`GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\n${UPGRADE}\r\n`, "HTTP/1.1 101"]
    : ["GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "HTTP/1.1 200"];

/** One connection that has had its answer, or null. */
function open(number: number): Promise<Socket | null> {
  const { promise, resolve } = Promise.withResolvers<Socket | null>();
  const localAddress = `127.0.0.${1 + (number % ADDRESSES)}`;
  const socket = connect({ port: Number(port), host: "127.0.0.1", localAddress }, () => socket.write(request));
  const limit = setTimeout(() => socket.destroy(), LIMIT);
  socket.once("data", (chunk: Buffer) => {
    clearTimeout(limit);
    resolve(chunk.toString("latin1").startsWith(wish) ? socket : null);
  });
  socket.on("error", () => resolve(null));
  socket.on("close", () => {
    held.delete(socket);
    resolve(null);
  });
  return promise;
}

const held = new Set<Socket>();
for (let made = 0; made < Number(wanted); made += BATCH) {
  const count = Math.min(BATCH, Number(wanted) - made);
  const opened = await Promise.all(Array.from({ length: count }, (_, index) => open(made + index)));
  for (const socket of opened) if (socket !== null && !socket.destroyed) held.add(socket);
  // The one that is full stays so.
  if (opened.every((socket) => socket === null)) break;
}
console.log(held.size);
process.stdin.on("end", () => process.exit(0)).resume();
