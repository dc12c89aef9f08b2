// Makes room for one more connection when the relay is full: connections without a request are closed first.
import type { Party } from "./addresses.ts";
import { apps, gate, relay } from "./app.ts";
import { FILES, roomIn, shareIn } from "./capacity.ts";
import { HANDSHAKE, IDLE, LINGER } from "./client-connection.ts";
import { clock } from "./clock.ts";
import { forget } from "./ending.ts";
import { CONNECTIONS, ORPHANED } from "./limits.ts";
import { countKept, drop, isEmpty, send } from "./outlet.ts";
import { refusal } from "./refusal.ts";
import type { App, Client } from "./types.ts";

/** How many connections are closed at once: each time all connections are searched. */
const BATCH = 32;

/** How many connections the relay, or the app, has above its limit; less than 1: it is not above. */
export function excess(app: App): number {
  const room = roomIn(FILES, apps.size);
  return Math.max(relay.connections - room, app.clients.size - shareIn(room, apps.size));
}

/** When a search found no connection to close, by the app's own or by all: it is not repeated before the next sweep. */
const vain = new WeakMap<App, number>();

/**
 * Closes connections without a request when there is no room for `newcomer`: those of the client that has the most, and
 * those of a trusted proxy only when nobody else has any. Order: connections that only wait for the client's FIN, then
 * unfinished handshakes and heads, then idle ones; the oldest first.
 */
export function makeRoom(newcomer: Client): void {
  const { app } = newcomer;
  if (excess(app) < 1) return;
  const isOwn = app.clients.size > shareIn(roomIn(FILES, apps.size), apps.size);
  const searched = isOwn ? app : gate;
  if (vain.get(searched) === clock.now) return;
  const among = isOwn ? [app] : [...apps.values(), gate];
  const spare = new Map<Party, Client[]>();
  for (const { clients } of among) {
    for (const client of clients) {
      if (client === newcomer || !isSpare(client)) continue;
      const others = spare.get(client.party);
      if (others) others.push(client);
      else spare.set(client.party, [client]);
    }
  }
  if (spare.size === 0) vain.set(searched, clock.now);
  const most = [...spare.values()].toSorted((a, b) => weightOf(b) - weightOf(a))[0] ?? [];
  const oldest = most.toSorted((a, b) => rankOf(a) - rankOf(b) || a.since - b.since);
  for (const client of oldest.slice(0, Math.min(BATCH, Math.ceil(oldest.length / 2)))) end(client);
}

const isSpare = (client: Client) =>
  client.phase === HANDSHAKE || ((client.phase === LINGER || client.phase === IDLE) && hasTaken(client));

/** Whether the client has taken its answers, but for so little that the kernel may keep it for nobody. */
const hasTaken = (client: Client) => isEmpty(client) && client.late === null && client.kept <= ORPHANED;

const weightOf = (clients: readonly Client[]) =>
  clients[0]!.origin.isTrusted ? clients.length - CONNECTIONS : clients.length;

const rankOf = ({ phase, pending }: Client) => (phase === LINGER ? 0 : phase === HANDSHAKE || pending !== null ? 1 : 2);

function end(client: Client): void {
  if (client.phase === IDLE && client.pending !== null) {
    const answer = refusal(503, client.app.route.app, "it has too many connections", false);
    send(client, answer, 0, answer.length);
  }
  drop(client, countKept(client) > ORPHANED);
  forget(client);
}
