// Who listens on a TCP port: the sockets of /proc/net/tcp, and the processes that hold them.
import { readlinkSync } from "node:fs";
import { listedSockets } from "./socket-list.ts";
import { listenerInode } from "./socket-owner.ts";
import { allPids, listProc, readProc, readProcLines } from "./proc.ts";

/** A process that holds a listening socket. */
export interface Listener {
  /** Null when this user may not see the process. */
  pid: number | null;
  /** The user that opened the socket. */
  uid: number;
  /** "127.0.0.1", "0.0.0.0", "::". */
  address: string;
}

interface Socket {
  inode: string;
  address: string;
  port: number;
  uid: number;
}

const LISTEN = "0A";

/** Whether a process has a socket that listens on the TCP port: the one that a connection to 127.0.0.1 reaches. */
export function isListening(pid: number, port: number): boolean {
  const inode = listenerInode("127.0.0.1", port);
  if (inode !== null) return socketsOf(pid).includes(String(inode));
  return listeningPorts([pid]).some((socket) => socket.port === port); // a kernel that does not answer
}

/** Every process that holds a socket listening on the TCP port; empty when the port is free. */
export async function listener(port: number): Promise<Listener[]> {
  const sockets = listeningOn(port);
  if (sockets.length === 0) return [];
  const holders = holdersOf(new Set(sockets.map((socket) => socket.inode)), allPids());
  return sockets.flatMap(({ inode, uid, address }): Listener[] => {
    const pids = holders.get(inode);
    return pids ? pids.map((pid) => ({ pid, uid, address })) : [{ pid: null, uid, address }];
  });
}

/** The users whose sockets listen on the TCP port, on whatever address. */
export const listenerUids = (port: number): Set<number> => new Set(listeningOn(port).map(({ uid }) => uid));

/** Every TCP port with a listener on this machine, in one read. */
export const listenedPorts = (): Set<number> => new Set(listening().map(({ port }) => port));

/** Every listening socket in the network namespace of a process (a container has its own); empty when it may not be seen. */
export function listeningIn(pid: number): { port: number; address: string }[] {
  const sockets = listening(`${pid}/net`).map(({ port, address }) => ({ port, address }));
  return sockets.sort((a, b) => a.port - b.port);
}

/** The TCP ports on which any of the processes listens, lowest first. */
export function listeningPorts(pids: readonly number[]): { port: number; address: string }[] {
  const sockets = listening();
  const holders = holdersOf(new Set(sockets.map((socket) => socket.inode)), pids);
  return sockets
    .filter(({ inode }) => holders.has(inode))
    .map(({ port, address }) => ({ port, address }))
    .sort((a, b) => a.port - b.port);
}

/** Those of this network namespace on one port. */
const listeningOn = (port: number): Socket[] => listening(undefined, port).filter((socket) => socket.port === port);

/**
 * `network` is the folder of a network namespace below /proc; without it, this process's own is meant. `port`: the only one
 * that is asked about.
 */
function listening(network?: string, port?: number): Socket[] {
  const listed = network === undefined ? listedSockets(port) : null;
  if (listed !== null) return listed.map(({ address, ...socket }) => ({ ...socket, address: textOf(address) }));
  const folder = network ?? "net";
  return [...listeningOf(folder, "", "TCP"), ...listeningOf(folder, "6", "TCP6")];
}

function listeningOf(network: string, family: "" | "6", protocol: string): Socket[] {
  const sockets: Socket[] = [];
  const most = inUse(`${network}/sockstat${family}`, protocol);
  if (most === 0) return sockets;
  readProcLines(`${network}/tcp${family}`, (line) => {
    // sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
    const fields = line.trim().split(/\s+/);
    if (fields[0] === "sl") return true;
    // The kernel lists listening sockets first; tens of thousands of connections may follow.
    if (fields[3] !== LISTEN) return false;
    const [address = "", port = ""] = fields[1]!.split(":");
    sockets.push({
      inode: fields[9]!,
      address: addressOf(address),
      port: Number.parseInt(port, 16),
      uid: Number(fields[7]),
    });
    return sockets.length < most;
  });
  return sockets;
}

/**
 * The kernel's own count of all sockets. A read past the last socket makes the kernel walk the whole connection table,
 * which takes milliseconds even when the table is empty.
 */
function inUse(file: string, protocol: string): number {
  const count = new RegExp(`^${protocol}: inuse (\\d+)`, "m").exec(readProc(file) ?? "")?.[1];
  return count === undefined ? Infinity : Number(count);
}

function holdersOf(inodes: ReadonlySet<string>, pids: readonly number[]): Map<string, number[]> {
  const holders = new Map<string, number[]>();
  for (const pid of pids) {
    for (const inode of new Set(socketsOf(pid))) {
      if (inodes.has(inode)) holders.set(inode, [...(holders.get(inode) ?? []), pid]);
    }
  }
  return holders;
}

/** The inodes of a process's sockets; empty when they may not be seen. */
export function socketsOf(pid: number): string[] {
  return listProc(`${pid}/fd`).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
    } catch {
      return []; // closed in the meantime
    }
  });
}

/** Converts an address from the kernel's format, words in host byte order: `0100007F` is 127.0.0.1. */
export const addressOf = (hex: string): string =>
  textOf((hex.match(/.{8}/g) ?? []).flatMap((word) => [...Buffer.from(word, "hex")].reverse()));

/** The text of an address of 4 or 16 bytes. */
function textOf(address: Iterable<number>): string {
  const bytes = [...address];
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff)
    return bytes.slice(12).join(".");
  const groups = Array.from({ length: 8 }, (_, index) =>
    ((bytes[2 * index]! << 8) | bytes[2 * index + 1]!).toString(16),
  );
  // The URL parser writes the short form of an IPv6 address.
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}
