// Who listens on a TCP port: the sockets of /proc/net/tcp, and the processes that hold them.
import { readlinkSync } from "node:fs";
import { allPids, listProc, readProc, readProcLines } from "./proc.ts";

/** A process that holds a listening socket. */
export interface Listener {
  /** Null when the process may not be seen by this user. */
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

/** Every process that holds a socket listening on the TCP port; none when the port is free. */
export async function listener(port: number): Promise<Listener[]> {
  const sockets = listening().filter((socket) => socket.port === port);
  if (sockets.length === 0) return [];
  const holders = holdersOf(new Set(sockets.map((socket) => socket.inode)), allPids());
  return sockets.flatMap(({ inode, uid, address }): Listener[] => {
    const pids = holders.get(inode);
    return pids ? pids.map((pid) => ({ pid, uid, address })) : [{ pid: null, uid, address }];
  });
}

/** Every TCP port that anything on this machine listens on, by one look. */
export const listenedPorts = (): Set<number> => new Set(listening().map(({ port }) => port));

/** Where anything listens in the network that a process is in, a container's own; nothing when it may not be seen. */
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

/** `network` is the folder of a network below /proc. */
const listening = (network = "net"): Socket[] => [
  ...listeningOf(network, "", "TCP"),
  ...listeningOf(network, "6", "TCP6"),
];

function listeningOf(network: string, family: "" | "6", protocol: string): Socket[] {
  const sockets: Socket[] = [];
  const most = inUse(`${network}/sockstat${family}`, protocol);
  if (most === 0) return sockets;
  readProcLines(`${network}/tcp${family}`, (line) => {
    // sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
    const fields = line.trim().split(/\s+/);
    if (fields[0] === "sl") return true;
    // The kernel lists what listens first; behind it may come tens of thousands of connections.
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
 * How many sockets there are in all, by the kernel's own count. To look for one more than there is makes the kernel
 * walk the whole table of connections, which takes it milliseconds even when that is empty.
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

/** The inodes of a process's sockets; none when it may not be seen. */
function socketsOf(pid: number): string[] {
  return listProc(`${pid}/fd`).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
    } catch {
      return []; // closed meanwhile
    }
  });
}

/** An address as the kernel prints it, in words of the host's byte order: `0100007F` is 127.0.0.1. */
export function addressOf(hex: string): string {
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) => [...Buffer.from(word, "hex")].reverse());
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff)
    return bytes.slice(12).join(".");
  const groups = Array.from({ length: 8 }, (_, index) =>
    ((bytes[2 * index]! << 8) | bytes[2 * index + 1]!).toString(16),
  );
  // The URL parser writes the short form.
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}
