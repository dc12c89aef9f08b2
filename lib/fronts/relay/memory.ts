// Bounds what all connections hold together: past that the client that holds the most is cut off, its largest first.
import { fixBuffers } from "../../host/process/socket-buffers.ts";
import type { Party } from "./addresses.ts";
import { apps, gate } from "./app.ts";
import { ACTIVE, HTTPS, TUNNEL } from "./client-connection.ts";
import { abort, cut } from "./ending.ts";
import { MEMORY, MEMORY_STEP, REST, REST_SECURE, SCARCE_BUFFER } from "./limits.ts";
import { logHeavy } from "./log.ts";
import { fdOf, growth, unreadIn, unsentIn } from "./outlet.ts";
import type { Client, Upstream } from "./types.ts";

/** What waited at the last count. */
let waiting = 0;

/** By how much it may grow until the next count. */
let leeway = MEMORY;

/** Whether so much was kept since the last count that the next one cannot wait for the sweep. */
export const isCountDue = (): boolean => growth.bytes >= leeway;

/** Counts what is held; when it is too much, cuts connections off until an eighth of the room is free. */
export function limitMemory(): void {
  growth.bytes = 0;
  let rest = 0;
  waiting = 0;
  const heavy: [Client, number][] = [];
  for (const { clients } of [...apps.values(), gate]) {
    for (const client of clients) {
      const bytes = waitingOn(client);
      rest += client.edge === HTTPS ? REST_SECURE : REST;
      if (bytes > 0) heavy.push([client, bytes]);
      waiting += bytes;
    }
  }
  for (const [client] of heavy) spareBuffers(client);
  const over = rest + waiting - MEMORY;
  leeway = Math.max(MEMORY_STEP, -over);
  if (over > 0) shed(heavy, over + MEMORY / 8);
}

/** When memory is scarce, keeps the kernel from growing the buffers of a connection further: slow sides leave them full. */
export function spareBuffers({ socket, upstream }: Client): void {
  if (waiting <= MEMORY / 4) return;
  for (const side of [socket, upstream?.socket ?? null]) if (side !== null) fixBuffers(fdOf(side), SCARCE_BUFFER);
}

/** Bytes that wait in a connection and the one to its app, with the relay and with the kernel. */
function waitingOn(client: Client): number {
  const { pending, answerPending, upstream } = client;
  let bytes = sizeOf(client.unsent) + client.replaySize + waitingAt(client);
  bytes += (pending?.length ?? 0) + (answerPending?.length ?? 0) + client.body.trailer.length;
  return upstream === null ? bytes : bytes + waitingAt(upstream);
}

/** Bytes that one side has not taken, and, as long as nobody reads from it, those that it has sent. */
function waitingAt(side: Client | Upstream): number {
  const { socket, queue } = side;
  let bytes = sizeOf(queue);
  if (socket === null) return bytes;
  if (queue.length > 0) bytes += unsentIn(socket);
  return side.isPaused ? bytes + unreadIn(socket) : bytes;
}

function sizeOf(queue: readonly Buffer[]): number {
  let size = 0;
  for (const buffer of queue) size += buffer.length;
  return size;
}

/** Cuts off until so many bytes are free: connections of the client with the most first, and of those the largest. */
function shed(heavy: readonly [Client, number][], bytes: number): void {
  const ofParty = new Map<Party, number>();
  for (const [client, held] of heavy) ofParty.set(partyOf(client), (ofParty.get(partyOf(client)) ?? 0) + held);
  const weightOf = (client: Client) => ofParty.get(partyOf(client))!;
  let left = bytes;
  for (const [client, held] of heavy.toSorted(([a, x], [b, y]) => weightOf(b) - weightOf(a) || y - x)) {
    if (left <= 0) return;
    left -= held;
    logHeavy(client, held);
    if (client.phase === ACTIVE || client.phase === TUNNEL) cut(client);
    else abort(client);
  }
}

/** For whom a connection counts: behind a trusted proxy, for the client of its request. */
const partyOf = ({ guest, party }: Client) => guest ?? party;
