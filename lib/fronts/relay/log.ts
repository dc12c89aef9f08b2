// The relay's log: one line an event on stderr, and never more of them than somebody can read.
import { say } from "../../text/say.ts";
import type { Client } from "./types.ts";

const PER_MINUTE = 20;
let minute = 0;
let count = 0;

/** One line. */
export function log(text: string): void {
  say(text);
}

/** A refused head, of anybody who can reach the port: 20 a minute are written. */
export function logRefusal(client: Client, why: string): void {
  const now = Math.floor(Date.now() / 60_000);
  if (now !== minute) {
    if (count > PER_MINUTE) log(`${count - PER_MINUTE} more heads were refused`);
    minute = now;
    count = 0;
  }
  if (++count <= PER_MINUTE) log(`${client.app.route.app}: refused a head from ${client.origin.address}: ${why}`);
}
