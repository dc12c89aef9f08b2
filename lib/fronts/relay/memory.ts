// Bounds what all connections hold together: past that the client that holds the most is cut off.
import { fixBuffers } from "../../host/process/socket-buffers.ts";
import { apps, gate } from "./app.ts";
import { ACTIVE, HTTPS, TUNNEL } from "./client-connection.ts";
import { abort, cut } from "./ending.ts";
import {
  AHEAD,
  KERNEL_MEMORY,
  KERNEL_STEP,
  MEMORY,
  MEMORY_STEP,
  REST,
  REST_SECURE,
  SCARCE_BUFFER,
  UNREAD,
} from "./limits.ts";
import { logHeavy } from "./log.ts";
import { countKept, fdOf, growth, isEmpty, unreadIn } from "./outlet.ts";
import { type Held, type Place, aboveShare, inOrder, sumOf } from "./shares.ts";
import type { Client, Upstream } from "./types.ts";

/** How much more the relay itself, and the kernel, may keep until the next count. */
let leeway = MEMORY;
let kernelLeeway = KERNEL_MEMORY;

/** While memory is scarce: the clients that had more than their share of the kernel's at the last count. */
let greedy: ReadonlySet<object> = new Set();

/** Whether a quarter of the kernel's room was used at the last count. */
export const isScarce = (): boolean => scarce;
let scarce = false;

/** Whether so much was kept since the last count that the next one cannot wait for the sweep. */
export const isCountDue = (): boolean => growth.bytes >= leeway || growth.sent >= kernelLeeway;

/** What a client's connection holds. */
interface HeldBy extends Held {
  client: Client;
}

/** Counts what is held; when it is too much, cuts connections off until an eighth of the room is free. */
export function limitMemory(): void {
  growth.bytes = growth.sent = 0;
  const all: HeldBy[] = [];
  for (const { clients } of [...apps.values(), gate]) for (const client of clients) all.push(heldBy(client));
  const [own, kernel] = [sumOf(all, "own"), sumOf(all, "kernel")];
  leeway = Math.max(MEMORY_STEP, MEMORY - own);
  kernelLeeway = Math.max(KERNEL_STEP, KERNEL_MEMORY - kernel);
  scarce = kernel > KERNEL_MEMORY / 4;
  greedy = scarce ? aboveShare(all, "kernel", KERNEL_MEMORY / 4) : new Set();
  for (const { client, kernel: bytes } of all) if (bytes > 0) spareBuffers(client);
  if (own > MEMORY) shed(all, "own", MEMORY);
  if (kernel > KERNEL_MEMORY) shed(all, "kernel", KERNEL_MEMORY);
}

/**
 * When memory is scarce, keeps the kernel from growing the buffers of a connection whose client has more than its share:
 * slow sides leave them full.
 */
export function spareBuffers(client: Client): void {
  if (!greedy.has(partyOf(client))) return;
  const { upstream } = client;
  fix(client, SCARCE_BUFFER);
  // What an app was let send ahead would be lost.
  if (upstream !== null) fix(upstream, upstream.isAhead ? AHEAD : UNREAD);
}

function fix(side: Client | Upstream, unread: number): void {
  if (side.socket === null || side.isFixed) return;
  side.isFixed = true;
  fixBuffers(fdOf(side.socket), SCARCE_BUFFER, unread);
}

function heldBy(client: Client): HeldBy {
  const { phase, upstream } = client;
  const kernel = waitingAt(client) + (upstream === null ? 0 : waitingAt(upstream));
  const isIdle = phase !== ACTIVE && phase !== TUNNEL && kernel === 0 && isEmpty(client);
  return { client, party: partyOf(client), isIdle, own: ownOf(client), kernel };
}

/** Bytes that the relay keeps for a connection and the one to its app. */
function ownOf(client: Client): number {
  const { pending, answerPending, upstream } = client;
  const rest = client.edge === HTTPS ? REST_SECURE : REST;
  const bytes = sizeOf(client.queue) + sizeOf(client.unsent) + client.replaySize + client.body.trailer.length;
  const ofApp = (answerPending?.length ?? 0) + (upstream === null ? 0 : sizeOf(upstream.queue));
  return rest + bytes + (pending?.length ?? 0) + ofApp;
}

/** Bytes that a slow side has not taken, and, as long as nobody reads from it, those that it has sent. */
const waitingAt = (side: Client | Upstream): number =>
  countKept(side) + (side.isPaused && side.socket !== null ? unreadIn(side.socket) : 0);

function sizeOf(queue: readonly Buffer[]): number {
  let size = 0;
  for (const buffer of queue) size += buffer.length;
  return size;
}

/** Cuts connections off until an eighth of the room of a place is free. */
function shed(all: readonly HeldBy[], place: Place, room: number): void {
  // Those that were cut off for the other place hold nothing any more.
  const open = all.filter(({ client }) => client.socket !== null);
  let left = sumOf(open, place) - (room * 7) / 8;
  for (const { client, own, kernel, [place]: bytes } of inOrder(open, place)) {
    if (left <= 0) return;
    left -= bytes;
    logHeavy(client, own + kernel);
    if (client.phase === ACTIVE || client.phase === TUNNEL) cut(client);
    else abort(client);
  }
}

/**
 * For whom a connection counts: behind a trusted proxy for the client of its request, and for nobody else without one.
 */
const partyOf = (client: Client): object => client.guest ?? (client.origin.isTrusted ? client : client.party);
