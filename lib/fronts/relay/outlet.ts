// Writes to a socket that may be slow: the rest is queued here, and its source is paused.
import { isReadable, queued } from "../../host/process/receive.ts";
import { clock } from "./clock.ts";
import { TURN_MOST, TURN_SIZE } from "./limits.ts";

/** The writing side of a socket. `S` is the type of the socket's data. */
export interface Outlet<S = unknown> {
  /** Null while the socket is connecting, and after it was closed. */
  socket: Bun.Socket<S> | null;
  queue: Buffer[];
  /** What is sent at the end of this turn of the event loop, before anything else; null: nothing. */
  late: Buffer | null;
  /** Whether to send a FIN when the queue is empty, and whether it was sent. */
  isEnding: boolean;
  isEnded: boolean;
  /** When the socket last took a byte, or last had no queue; without a queue, when the other side took one. */
  tookAt: number;
  /** Bytes were sent since the kernel was last found to keep none, and how many it kept at the last count. */
  hasSent: boolean;
  kept: number;
  /** The kernel's buffers for it have a size that stays. */
  isFixed: boolean;
}

/** The state of a connection on which nothing was sent. */
export const unused = (now: number) => ({
  queue: [],
  late: null,
  isEnding: false,
  isEnded: false,
  tookAt: now,
  hasSent: false,
  kept: 0,
  isFixed: false,
});

/**
 * Bytes that connections have kept, and that the kernel has taken, since they were counted last; those that have gone
 * since are not taken off.
 */
export const growth = { bytes: 0, sent: 0 };

/** Writes `[start, end)` and queues what the socket does not take yet. The buffer is kept, so it must not be changed. */
export function send(outlet: Outlet, buffer: Buffer, start: number, end: number): void {
  if (start === end) return;
  if (outlet.late !== null) sendLate(outlet);
  if (outlet.socket === null || outlet.queue.length > 0) {
    outlet.queue.push(start === 0 && end === buffer.length ? buffer : buffer.subarray(start, end));
    growth.bytes += end - start;
    return;
  }
  outlet.tookAt = clock.now;
  outlet.hasSent = true;
  const taken = Math.max(0, outlet.socket.write(buffer, start, end - start));
  growth.sent += taken;
  if (taken === end - start) return;
  outlet.queue.push(remainder(buffer, start + taken, end));
  growth.bytes += end - start - taken;
}

/** The connections with something to send at the end of this turn of the event loop. */
const late: Outlet[] = [];
let isInTurn = false;

/**
 * The same, for the whole of a small message that nothing follows: in a turn of the event loop that handles many, all but
 * the first are sent at its end. Whoever is at the other end of several then handles them in one turn of its own.
 */
export function sendTogether(outlet: Outlet, buffer: Buffer, start: number, end: number): void {
  const isFirst = !isInTurn;
  if (isFirst) {
    isInTurn = true;
    setImmediate(endTurn);
  }
  const canWait = outlet.late === null && outlet.queue.length === 0;
  if (isFirst || !canWait || outlet.socket === null || end - start > TURN_SIZE) return send(outlet, buffer, start, end);
  if (late.length === TURN_MOST) sendAllLate();
  outlet.late = start === 0 && end === buffer.length ? buffer : buffer.subarray(start, end);
  late.push(outlet);
}

function endTurn(): void {
  isInTurn = false;
  sendAllLate();
}

/** Sends at once all that would be sent at the end of the turn. */
export function sendAllLate(): void {
  for (const outlet of late.splice(0)) {
    try {
      sendLate(outlet);
    } catch (error) {
      // From here it would end the relay; from a socket's own handler it ends the socket.
      console.error(error);
      outlet.socket?.terminate();
    }
  }
}

/** Sends at once what would be sent at the end of the turn: afterwards `isEmpty` tells whether the socket took it. */
export function sendLate(outlet: Outlet): void {
  const buffer = outlet.late;
  if (buffer === null) return;
  outlet.late = null;
  // Without a socket it was closed since.
  if (outlet.socket !== null) send(outlet, buffer, 0, buffer.length);
}

/** What is left of a buffer: a copy, where most of it would be kept for nothing. */
export const remainder = (buffer: Buffer, start: number, end: number): Buffer =>
  end - start < buffer.length / 2 ? Buffer.from(buffer.subarray(start, end)) : buffer.subarray(start, end);

/** Whether everything has been taken, but for what is sent at the end of the turn. */
export const isEmpty = (outlet: Outlet): boolean => outlet.queue.length === 0;

/** The file descriptor of a socket; Bun's types lack it. */
export const fdOf = (socket: Bun.Socket<unknown>): number =>
  (socket as Bun.Socket<unknown> & { readonly fd: number }).fd;

/** Bytes of a socket that the kernel keeps: those that the peer has not taken yet, and those that were not read yet. */
export const unsentIn = (socket: Bun.Socket<unknown>): number => queued(fdOf(socket), "out");
export const unreadIn = (socket: Bun.Socket<unknown>): number => queued(fdOf(socket), "in");

/** Counts the bytes that the kernel keeps because the other side has not taken them. */
export function countKept(outlet: Outlet): number {
  const { socket, kept } = outlet;
  if (socket === null || !outlet.hasSent) return (outlet.kept = 0);
  // The kernel counts a FIN as a byte.
  outlet.kept = Math.max(0, unsentIn(socket) - (outlet.isEnded ? 1 : 0));
  if (outlet.kept < kept && isEmpty(outlet)) outlet.tookAt = clock.now;
  outlet.hasSent = outlet.kept > 0;
  return outlet.kept;
}

/** Whether bytes of the peer, or its FIN, have arrived and were not read yet. */
export const hasUnread = (socket: Bun.Socket<unknown>): boolean => isReadable(fdOf(socket));

/** Writes queued bytes when the socket drains; returns true when none are left. */
export function flush(outlet: Outlet): boolean {
  const { socket, queue } = outlet;
  if (socket === null) return false;
  while (queue.length > 0) {
    const buffer = queue[0]!;
    const taken = Math.max(0, socket.write(buffer));
    if (taken > 0) outlet.tookAt = clock.now;
    outlet.hasSent = true;
    growth.sent += taken;
    if (taken < buffer.length) {
      queue[0] = remainder(buffer, taken, buffer.length);
      return false;
    }
    queue.shift();
  }
  if (outlet.isEnding) finish(outlet);
  return true;
}

/** Sends a FIN after all queued bytes. The other direction stays open: `end()` would be close(2), and a reset. */
export function end(outlet: Outlet): void {
  sendLate(outlet);
  outlet.isEnding = true;
  if (outlet.queue.length === 0) finish(outlet);
}

function finish(outlet: Outlet): void {
  if (outlet.isEnded || outlet.socket === null) return;
  outlet.isEnded = true;
  outlet.socket.shutdown();
}

/** Drops the socket and its queue. `isReset`: the peer must notice that something is missing. */
export function drop(outlet: Outlet, isReset: boolean): void {
  // A reset, too, comes after what was answered before it.
  sendLate(outlet);
  const { socket } = outlet;
  outlet.socket = null;
  outlet.queue.length = 0;
  if (isReset) socket?.terminate();
  else socket?.end();
}
