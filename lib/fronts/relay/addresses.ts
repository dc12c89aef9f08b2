// Who the clients are, and how much each has open: no one of them may take the room of all others.
import { holderUid, tellsOwners } from "../../host/process/socket-owner.ts";
import { CONNECTIONS_PER_CLIENT } from "./limits.ts";

/** A client as it is counted: an address, a network of them, or a user of this machine. */
export interface Party {
  readonly key: string;
  /** Its connections, and its requests that come by a trusted proxy. */
  count: number;
}

const parties = new Map<string, Party>();

/** Counts one more of a client. */
export function admit(key: string): Party {
  let party = parties.get(key);
  if (party === undefined) parties.set(key, (party = { key, count: 0 }));
  party.count++;
  return party;
}

/** Counts one less. */
export function dismiss(party: Party): void {
  if (--party.count === 0) parties.delete(party.key);
}

/** By how many a client has more than its share; less than 1: it has not. */
export const excessOf = (party: Party): number => party.count - CONNECTIONS_PER_CLIENT;

const isLoopback = (address: string) => address.startsWith("127.") || address === "::1";

/** An address as people write it: a dual-stack socket shows IPv4 clients as ::ffff:192.0.2.1. */
export const plainAddress = (address: string): string =>
  address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;

/** What counts as one client: an IPv4 address, or the /64 that an IPv6 address is of, because all of it is one's own. */
export function clientOf(address: string): string {
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.split("%")[0]!.split("::");
  const groups = head === "" ? [] : head.split(":");
  if (tail === undefined) return groups.slice(0, 4).join(":");
  const behind = tail === "" ? [] : tail.split(":");
  const zeros = Array.from({ length: Math.max(0, 8 - groups.length - behind.length) }, () => "0");
  return [...groups, ...zeros, ...behind].slice(0, 4).join(":");
}

/** The user of this machine, by uid, whose process has opened a connection; null: it comes from elsewhere, or nobody can tell. */
export function localUid(socket: Bun.Socket<unknown>): number | null {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  const [from, to] = [plainAddress(remoteAddress), plainAddress(localAddress)];
  if ((!isLoopback(from) && from !== to) || !tellsOwners()) return null;
  return holderUid({ address: from, port: remotePort }, { address: to, port: localPort });
}

/** The client that a connection counts for: on this machine its user, all of whom have all of 127.0.0.0/8. */
export function partyKey(address: string, uid: number | null): string {
  if (uid !== null) return `uid ${uid}`;
  return isLoopback(address) ? "this machine" : clientOf(address);
}

/** Whether a user of this machine has no limit: root, and whoever runs the relay, could stop it anyway. */
export const isSpared = (uid: number | null): boolean => uid === 0 || (uid !== null && uid === process.getuid?.());
