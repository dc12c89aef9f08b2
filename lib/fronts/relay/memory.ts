// Bounds what all connections hold together: past that the client that holds the most is cut off, its largest first.
import { fixBuffers } from "../../host/process/socket-buffers.ts";
import type { Party } from "./addresses.ts";
import { apps, gate } from "./app.ts";
import { ACTIVE, CLOSED, HTTPS, TUNNEL } from "./client-connection.ts";
import { abort, cut } from "./ending.ts";
import { KERNEL_MEMORY, MEMORY, MEMORY_STEP, REST, REST_SECURE, SCARCE_BUFFER } from "./limits.ts";
import { logHeavy } from "./log.ts";
import { fdOf, growth, unreadIn, unsentIn } from "./outlet.ts";
import type { Client, Upstream } from "./types.ts";

/** What the kernel kept for slow sides at the last count. */
let inKernel = 0;

/** By how much what the relay itself keeps may grow until the next count. */
let leeway = MEMORY;

/** Whether so much was kept since the last count that the next one cannot wait for the sweep. */
export const isCountDue = (): boolean => growth.bytes >= leeway;

/** A connection on which bytes wait: with the relay, and with the kernel. */
interface Heavy {
  client: Client;
  own: number;
  kernel: number;
}

/** Counts what is held; when it is too much, cuts connections off until an eighth of the room is free. */
export function limitMemory(): void {
  growth.bytes = inKernel = 0;
  let own = 0;
  const heavy: Heavy[] = [];
  for (const { clients } of [...apps.values(), gate]) {
    for (const client of clients) {
      const one = { client, own: ownOf(client), kernel: kernelOf(client) };
      own += one.own + (client.edge === HTTPS ? REST_SECURE : REST);
      inKernel += one.kernel;
      if (one.own + one.kernel > 0) heavy.push(one);
    }
  }
  for (const { client } of heavy) spareBuffers(client);
  leeway = Math.max(MEMORY_STEP, MEMORY - own);
  if (own > MEMORY) shed(heavy, "own", own - (MEMORY * 7) / 8);
  if (inKernel > KERNEL_MEMORY) shed(heavy, "kernel", inKernel - (KERNEL_MEMORY * 7) / 8);
}

/** When memory is scarce, keeps the kernel from growing the buffers of a connection further: slow sides leave them full. */
export function spareBuffers({ socket, upstream }: Client): void {
  if (inKernel <= KERNEL_MEMORY / 4) return;
  for (const side of [socket, upstream?.socket ?? null]) if (side !== null) fixBuffers(fdOf(side), SCARCE_BUFFER);
}

/** Bytes that the relay keeps for a connection and the one to its app. */
function ownOf(client: Client): number {
  const { pending, answerPending, upstream } = client;
  const bytes = sizeOf(client.queue) + sizeOf(client.unsent) + client.replaySize + client.body.trailer.length;
  const ofApp = (answerPending?.length ?? 0) + (upstream === null ? 0 : sizeOf(upstream.queue));
  return bytes + (pending?.length ?? 0) + ofApp;
}

const kernelOf = (client: Client) => waitingAt(client) + (client.upstream === null ? 0 : waitingAt(client.upstream));

/** Bytes that a slow side has not taken, and, as long as nobody reads from it, those that it has sent. */
function waitingAt({ socket, queue, isPaused }: Client | Upstream): number {
  if (socket === null) return 0;
  return (queue.length > 0 ? unsentIn(socket) : 0) + (isPaused ? unreadIn(socket) : 0);
}

function sizeOf(queue: readonly Buffer[]): number {
  let size = 0;
  for (const buffer of queue) size += buffer.length;
  return size;
}

/** Cuts off until so many bytes are free: connections of the client with the most first, and of those the largest. */
function shed(heavy: readonly Heavy[], where: "own" | "kernel", bytes: number): void {
  const ofParty = new Map<Party, number>();
  for (const { client, [where]: held } of heavy)
    ofParty.set(partyOf(client), (ofParty.get(partyOf(client)) ?? 0) + held);
  const weightOf = ({ client }: Heavy) => ofParty.get(partyOf(client))!;
  let left = bytes;
  for (const one of heavy.toSorted((a, b) => weightOf(b) - weightOf(a) || b[where] - a[where])) {
    if (left <= 0) return;
    if (one.client.phase === CLOSED) continue;
    left -= one[where];
    logHeavy(one.client, one.own + one.kernel);
    if (one.client.phase === ACTIVE || one.client.phase === TUNNEL) cut(one.client);
    else abort(one.client);
  }
}

/** For whom a connection counts: behind a trusted proxy, for the client of its request. */
const partyOf = ({ guest, party }: Client) => guest ?? party;
