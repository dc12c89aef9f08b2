// Identifies clients and counts their open connections: no single client may take the room of all others.
import { networkInterfaces } from "node:os";
import { holderUid, tellsOwners } from "../../host/process/socket-owner.ts";
import { CONNECTIONS_PER_CLIENT } from "./limits.ts";

/** A client as a counting unit: an address, a network, or a user of this machine. */
export interface Party {
  readonly key: string;
  /** Its connections, and its requests through a trusted proxy. */
  count: number;
}

const parties = new Map<string, Party>();

/** Adds one to a client's count. */
export function admit(key: string): Party {
  let party = parties.get(key);
  if (party === undefined) parties.set(key, (party = { key, count: 0 }));
  party.count++;
  return party;
}

/** Subtracts one from a client's count. */
export function dismiss(party: Party): void {
  if (--party.count === 0) parties.delete(party.key);
}

/** How far a client is above its share; less than 1: it is not above. */
export const excessOf = (party: Party): number => party.count - CONNECTIONS_PER_CLIENT;

const isLoopback = (address: string) => address.startsWith("127.") || address === "::1";

/** An address in its usual form: a dual-stack socket shows IPv4 clients as ::ffff:192.0.2.1. */
export const plainAddress = (address: string): string =>
  address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;

/**
 * The unit that counts as one client: an IPv4 address, or the /64 of an IPv6 address, which usually belongs to one
 * client.
 */
export function clientOf(address: string): string {
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.split("%")[0]!.split("::");
  const groups = head === "" ? [] : head.split(":");
  if (tail === undefined) return groups.slice(0, 4).join(":");
  const behind = tail === "" ? [] : tail.split(":");
  const zeros = Array.from({ length: Math.max(0, 8 - groups.length - behind.length) }, () => "0");
  return [...groups, ...zeros, ...behind].slice(0, 4).join(":");
}

/** How long this machine's addresses are remembered, in ms. */
const REMEMBERED = 5_000;
let own = new Set<string>();
let ownSince = Number.NEGATIVE_INFINITY;

/** Whether this machine has the address: a local process may connect from any of them to any other. */
function isOwn(address: string): boolean {
  if (isLoopback(address)) return true;
  const now = performance.now();
  if (now - ownSince > REMEMBERED) {
    own = new Set(
      Object.values(networkInterfaces())
        .flatMap((each) => each ?? [])
        .map((each) => each.address),
    );
    ownSince = now;
  }
  return own.has(address.split("%")[0]!);
}

/**
 * The local user whose process opened a connection (`holder`), and whether it counts for that user (`uid`): it does from
 * a loopback address, and from the one that it went to. Null: another machine, or nobody knows.
 */
export function localUsers(socket: Bun.Socket<unknown>): { uid: number | null; holder: number | null } {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  const [from, to] = [plainAddress(remoteAddress), plainAddress(localAddress)];
  if (!isOwn(from) || !tellsOwners()) return { uid: null, holder: null };
  const holder = holderUid({ address: from, port: remotePort }, { address: to, port: localPort });
  return { uid: isLoopback(from) || from === to ? holder : null, holder };
}

/** The client that a connection counts for. A local client is its user, because every user can use all of 127.0.0.0/8. */
export function partyKey(address: string, uid: number | null): string {
  if (uid !== null) return `uid ${uid}`;
  return isLoopback(address) ? "this machine" : clientOf(address);
}

/** Whether a local user has no limit: root and the relay's own user could stop the relay anyway. */
export const isSpared = (uid: number | null): boolean => uid === 0 || (uid !== null && uid === process.getuid?.());
