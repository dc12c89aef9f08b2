// How many connections each client address has: no one of them may take the room of all others.
const counts = new Map<string, number>();

/** Whether connections from there are not counted: what runs on this machine is not a stranger. */
const isLocal = (address: string) => address.startsWith("127.") || address === "::1";

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

/** Counts one more connection; answers how many there were before it. */
export function addConnection(address: string): number {
  if (isLocal(address)) return 0;
  const client = clientOf(address);
  const before = counts.get(client) ?? 0;
  counts.set(client, before + 1);
  return before;
}

/** Counts one less. */
export function removeConnection(address: string): void {
  const client = clientOf(address);
  const left = (counts.get(client) ?? 0) - 1;
  if (left > 0) counts.set(client, left);
  else counts.delete(client);
}
