// Which addresses are those of trusted proxies: single ones, and networks such as a CDN's.
import { isWithin, networkOf, type Network } from "../../config/network.ts";

// A route keeps its list for as long as it lives: each is read once.
const read = new WeakMap<readonly string[], Network[]>();

/** Whether a plain address is in the list. */
export function isProxy(address: string, trustedProxies: readonly string[]): boolean {
  if (trustedProxies.length === 0) return false;
  return trustedProxies.includes(address) || isWithin(address, networksIn(trustedProxies));
}

function networksIn(trustedProxies: readonly string[]): Network[] {
  const known = read.get(trustedProxies);
  if (known !== undefined) return known;
  const networks = trustedProxies.map(networkOf).filter((network) => network !== null);
  read.set(trustedProxies, networks);
  return networks;
}
