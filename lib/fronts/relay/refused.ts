// Requests whose app has refused the connection: they are tried again as soon as somebody listens.
import type { Target } from "../../contracts/front.ts";
import { CONNECT_LOOK, CONNECT_PAUSE, CONNECT_UNHEARD } from "./limits.ts";
import { isHeard } from "./owner.ts";
import type { Client } from "./types.ts";

interface Refusal {
  target: Target;
  since: number;
  again(client: Client): void;
}

const waiting = new Map<Client, Refusal>();
let timer: ReturnType<typeof setInterval> | null = null;

/** Calls `again` when a connection to the target is worth a try, or the app has another one. */
export function tryLater(client: Client, target: Target, again: (client: Client) => void): void {
  waiting.set(client, { target, since: performance.now(), again });
  timer ??= setInterval(look, CONNECT_LOOK);
}

/** The client is gone, or its request is over. */
export const tryNoMore = (client: Client): boolean => waiting.delete(client);

/** To ask the kernel costs far less than a connection that is refused, and one answer is enough for all clients of a port. */
function look(): void {
  const now = performance.now();
  const heard = new Map<Target, boolean | null>();
  for (const [client, { target, since, again }] of waiting) {
    if (!heard.has(target)) heard.set(target, isHeard(target));
    const answer = heard.get(target)!;
    const pause = answer === false ? CONNECT_UNHEARD : CONNECT_PAUSE;
    if (answer !== true && now - since < pause && client.app.route.target === target) continue;
    waiting.delete(client);
    again(client);
  }
  if (waiting.size > 0 || timer === null) return;
  clearInterval(timer);
  timer = null;
}
