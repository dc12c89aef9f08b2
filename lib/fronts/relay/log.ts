// The relay's log: one line per event on stderr, at a rate that a person can read.
import { nameOf } from "../../host/users.ts";
import { say } from "../../text/say.ts";
import type { Client } from "./types.ts";

const PER_MINUTE = 20;

let minute = 0;
const counts = new Map<string, number>();

export function log(text: string): void {
  say(text);
}

/** Logs events that others can cause as often as they like: at most 20 lines a minute of each kind. */
function logSome(kind: string, text: () => string): void {
  const now = Math.floor(Date.now() / 60_000);
  if (now !== minute) {
    for (const [known, count] of counts)
      if (count > PER_MINUTE) log(`${count - PER_MINUTE} more lines about ${known} were left out`);
    minute = now;
    counts.clear();
  }
  const count = (counts.get(kind) ?? 0) + 1;
  counts.set(kind, count);
  if (count <= PER_MINUTE) log(text());
}

/** A refused head, which anybody who can reach the port can send. */
export const logRefusal = (client: Client, why: string): void =>
  logSome("heads", () => `${client.app.route.app}: refused a head from ${client.origin.address}: ${why}`);

/** A client that is refused because it has used up its share of connections. */
export const logCrowd = ({ app, party }: Client): void =>
  logSome("crowds", () => {
    const hint = party.key.startsWith("uid") ? "; is it a proxy before the relay? name it in trustedProxies" : "";
    return `${app.route.app}: refused a connection from ${party.key}, which has ${party.count - 1}${hint}`;
  });

/** A client that was cut off because all together held too much memory. */
export const logHeavy = ({ app, party, guest }: Client, bytes: number): void =>
  logSome("memory", () => {
    const held = `held ${Math.ceil(bytes / 1024)} KiB`;
    return `${app.route.app}: cut off a connection of ${(guest ?? party).key}, which ${held}: the relay's memory is used up`;
  });

/** An answer of the app that could not be passed on. */
export const logAnswer = (client: Client, why: string): void =>
  logSome("answers", () => `${client.app.route.app}@${client.target?.id}: ${why}`);

/** Another user listens on the app's port. */
export const logTheft = (client: Client, port: number, uid: number): void =>
  logSome(`user ${uid} on the port of ${client.app.route.app}`, () => {
    const { app, target } = client.app.route;
    const owner = target?.uid === undefined ? "the app's user" : nameOf(target.uid);
    return `${app}: port ${port} of ${target?.id} is held by ${nameOf(uid)} (uid ${uid}), not by ${owner}: answered 502`;
  });
