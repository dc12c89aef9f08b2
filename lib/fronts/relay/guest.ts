// Clients behind a trusted proxy: each of their requests counts like a connection of that client.
import { admit, clientOf, dismiss, excessOf, plainAddress } from "./addresses.ts";
import { isWord } from "./bytes.ts";
import { request } from "./request-head.ts";
import { isProxy } from "./trusted.ts";
import type { Client } from "./types.ts";

/** The client's address as named by the outermost trusted proxy; null: no proxy names one. */
function addressBefore(buffer: Buffer, trustedProxies: readonly string[]): string | null {
  let said = "";
  for (let i = 0; i < request.forwarded.length; i += 3) {
    const [at, value, end] = [request.forwarded[i]!, request.forwarded[i + 1]!, request.forwarded[i + 2]!];
    if (!isWord(buffer, at, "x-forwarded-for:") || buffer.subarray(at, value).includes(95)) continue;
    said += `,${buffer.toString("latin1", value, end)}`;
  }
  const addresses = said.split(",").map((part) => plainAddress(part.trim()));
  return addresses.findLast((address) => address !== "" && !isProxy(address, trustedProxies)) ?? null;
}

/** The address of the client of the request that was read last, behind a trusted proxy that names one; null: none does. */
export function guestAddress({ app, origin }: Client, buffer: Buffer): string | null {
  const address = origin.isTrusted ? addressBefore(buffer, app.route.trustedProxies) : null;
  return address === null ? null : bare(address);
}

// Some proxies write "192.0.2.1:4711" or "[2001:db8::1]:4711".
const bare = (address: string) => address.replace(/^\[([^\]]+)\].*$|^([\d.]+):\d+$/, "$1$2");

/** Counts the request that was read last for its client; returns false when the client has too many in flight. */
export function admitGuest(client: Client, buffer: Buffer): boolean {
  const address = addressBefore(buffer, client.app.route.trustedProxies);
  if (address === null) return true;
  const party = admit(clientOf(bare(address)));
  if (excessOf(party) < 1) {
    client.guest = party;
    return true;
  }
  dismiss(party);
  return false;
}

/** Stops counting the request when it is over. */
export function dismissGuest(client: Client): void {
  if (client.guest !== null) dismiss(client.guest);
  client.guest = null;
}
