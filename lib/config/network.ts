// Addresses and networks as lists of allowed clients name them: 203.0.113.7, 203.0.113.0/24, 2001:db8::/32.

/** A network: its address as bytes, 4 or 16 of them, and how many of its bits count. */
export interface Network {
  bytes: readonly number[];
  bits: number;
}

const OCTET = /^(?:0|[1-9]\d{0,2})$/;
const GROUP = /^[0-9a-f]{1,4}$/i;

/** The bytes of an address; null for what is none. A mapped address, ::ffff:192.0.2.1, is the one that it stands for. */
export function bytesOf(address: string): number[] | null {
  const bytes = address.includes(":") ? longBytes(address) : shortBytes(address);
  const isMapped = bytes?.length === 16 && bytes.every((byte, at) => at > 11 || byte === (at < 10 ? 0 : 255));
  return isMapped ? bytes.slice(12) : bytes;
}

function shortBytes(address: string): number[] | null {
  const parts = address.split(".");
  if (parts.length !== 4 || !parts.every((part) => OCTET.test(part) && Number(part) < 256)) return null;
  return parts.map(Number);
}

function longBytes(address: string): number[] | null {
  const [head, tail, ...more] = address.split("::");
  if (more.length > 0) return null;
  const [before, after] = [groupsOf(head!, tail === undefined), groupsOf(tail ?? "", true)];
  if (before === null || after === null) return null;
  const left = 16 - before.length - after.length;
  if (tail === undefined ? left !== 0 : left < 2) return null;
  return [...before, ...Array.from({ length: left }, () => 0), ...after];
}

/** The bytes of groups of an IPv6 address; at its end there may be an IPv4 address. */
function groupsOf(text: string, isEnd: boolean): number[] | null {
  if (text === "") return [];
  const parts = text.split(":");
  const bytes: number[] = [];
  for (const [at, part] of parts.entries()) {
    const short = isEnd && at === parts.length - 1 && part.includes(".") ? shortBytes(part) : null;
    if (short === null && !GROUP.test(part)) return null;
    if (short !== null) bytes.push(...short);
    else bytes.push(Number.parseInt(part, 16) >> 8, Number.parseInt(part, 16) & 255);
  }
  return bytes;
}

/** A network, or one address; null for what is none, or has bits set that do not count. */
export function networkOf(text: string): Network | null {
  const [address = "", size, ...more] = text.split("/");
  const bytes = bytesOf(address);
  if (bytes === null || more.length > 0) return null;
  const all = bytes.length * 8;
  if (size === undefined) return { bytes, bits: all };
  const bits = /^\d{1,3}$/.test(size) ? Number(size) : -1;
  // 192.0.2.0/24 as ::ffff:192.0.2.0/120 would be read in two ways.
  if (bits < 0 || bits > all || (address.includes(":") && bytes.length === 4)) return null;
  const isClean = bytes.every((byte, at) => (byte & ~maskAt(at, bits) & 255) === 0);
  return isClean ? { bytes, bits } : null;
}

/** The bits that count in the byte at that place. */
const maskAt = (at: number, bits: number) => (0xff00 >> Math.min(8, Math.max(0, bits - at * 8))) & 255;

/** Whether an address is in one of the networks. */
export function isWithin(address: string, networks: readonly Network[]): boolean {
  const bytes = bytesOf(address.split("%", 1)[0]!);
  if (bytes === null) return false;
  return networks.some((network) => network.bytes.length === bytes.length && hasSame(bytes, network));
}

const hasSame = (bytes: readonly number[], network: Network) =>
  bytes.every((byte, at) => ((byte ^ network.bytes[at]!) & maskAt(at, network.bits)) === 0);
