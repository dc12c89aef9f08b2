// Requests whose app has refused the connection: they are tried again as soon as somebody listens.
import type { Target } from "../../contracts/front.ts";
import { CONNECT_FIRST, CONNECT_LOOK, CONNECT_LOOKS, CONNECT_PAUSE, CONNECT_UNHEARD } from "./limits.ts";
import { isHeard } from "./owner.ts";
import type { Client } from "./types.ts";

interface Refusal {
  /** In ms of performance.now. */
  since: number;
  again(client: Client): void;
}

/** The clients that wait for a target. */
interface Queue {
  /** The one that has waited longest comes first. */
  refusals: Map<Client, Refusal>;
  /** The kernel's last word was that nobody listens. */
  wasUnheard: boolean;
  /** So many may connect at the next look: an app that has just begun to listen has room for few. */
  room: number;
}

const queues = new Map<Target, Queue>();
const queueOf = new Map<Client, Queue>();
let timer: ReturnType<typeof setInterval> | null = null;

/** Calls `again`, later, when a connection to the target is worth a try, or the app has another one. */
export function tryLater(client: Client, target: Target, again: (client: Client) => void): void {
  const queue = queues.get(target) ?? { refusals: new Map(), wasUnheard: false, room: CONNECT_FIRST };
  queues.set(target, queue);
  queueOf.set(client, queue);
  queue.refusals.set(client, { since: performance.now(), again });
  timer ??= setInterval(look, CONNECT_LOOK);
}

/** The client is gone, or its request is over. */
export function tryNoMore(client: Client): void {
  queueOf.get(client)?.refusals.delete(client);
  queueOf.delete(client);
}

/** To ask the kernel costs far less than a connection that is refused, and one answer is enough for all clients of a port. */
function look(): void {
  const now = performance.now();
  for (const [target, queue] of queuesOfLook()) {
    const due = dueOf(target, queue, now);
    if (due.length > 0) queue.room *= 2;
    for (const [client, { again }] of due) {
      tryNoMore(client);
      again(client);
    }
    // Others come first at the next look.
    queues.delete(target);
    if (queue.refusals.size > 0) queues.set(target, queue);
  }
  if (queues.size > 0 || timer === null) return;
  clearInterval(timer);
  timer = null;
}

/** Of the targets where nobody listened, of which there may be hundreds, a few in turn; of the others all. */
function queuesOfLook(): [Target, Queue][] {
  const [unheard, others]: [Target, Queue][][] = [[], []];
  for (const each of queues) (isUnheard(...each) ? unheard : others)!.push(each);
  return [...others!, ...unheard!.slice(0, CONNECT_LOOKS)];
}

/** Whether nobody listened there, and the app has no other target meanwhile. */
function isUnheard(target: Target, { wasUnheard, refusals }: Queue): boolean {
  const [client] = refusals.keys();
  return wasUnheard && client?.app.route.target === target;
}

/** Those whose turn it is. */
function dueOf(target: Target, queue: Queue, now: number): [Client, Refusal][] {
  const heard = isHeard(target);
  const begins = heard === true && queue.wasUnheard;
  queue.wasUnheard = heard === false;
  const pause = heard === false ? CONNECT_UNHEARD : CONNECT_PAUSE;
  const due: [Client, Refusal][] = [];
  for (const [client, refusal] of queue.refusals) {
    const isDue = begins || now - refusal.since >= pause || client.app.route.target !== target;
    if (!isDue || due.length === queue.room) break;
    due.push([client, refusal]);
  }
  return due;
}
