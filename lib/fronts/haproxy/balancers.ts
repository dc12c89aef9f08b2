// The balancers of dp's HAProxy: each holds a port and spreads its requests over servers. The durable file of them.
import * as v from "valibot";
import { networkOf } from "../../config/network.ts";
import { DpError, messageOf } from "../../errors.ts";
import { readText, writeFileAtomic } from "../../host/files.ts";
import { filesOf } from "./places.ts";

// Loaded only when an address is looked at: every deploy loads this file, to see whether haproxy holds its port.
const isIP = (text: string): number => (require("node:net") as typeof import("node:net")).isIP(text);

const NAME = /^[a-z](?:-?[a-z0-9]){0,27}$/;
/** Whether a text can name a balancer, or a server of one. */
export const isBalancerName = (text: string): boolean => NAME.test(text);

/** `10.0.0.5:8000` or `[fd00::5]:8000`; no names, because a name that is not found would keep HAProxy from starting. */
export function isServerAddress(text: string): boolean {
  const [, bracketed, plain, port] = /^(?:\[([0-9a-fA-F:]+)\]|([0-9.]+)):([0-9]{1,5})$/.exec(text) ?? [];
  const isPort = Number(port ?? 0) >= 1 && Number(port) <= 65_535;
  return isPort && (bracketed === undefined ? isIP(plain ?? "") === 4 : isIP(bracketed) === 6);
}

const PATH = /^\/[\w./~%?&=+@:,-]*$/;
/** Whether a text is a path that HAProxy can ask a server for. */
export const isCheckPath = (text: string): boolean => PATH.test(text) && text.length <= 200;
const HOST = /^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(?::[0-9]{1,5})?$/;
/** Whether a text is the Host of such a request. */
export const isCheckHost = (text: string): boolean => HOST.test(text);

const ip = v.pipe(
  v.string(),
  v.check((text) => isIP(text) > 0),
);
const name = v.pipe(v.string(), v.check(isBalancerName));
const server = v.strictObject({
  address: v.pipe(v.string(), v.check(isServerAddress)),
  /** It gets no new requests. */
  isDrained: v.boolean(),
});
const balancer = v.strictObject({
  name,
  /** The address and the port that it listens on. */
  host: ip,
  port: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535)),
  /** The path that every server must answer with a status from 200 to 399. */
  check: v.pipe(v.string(), v.check(isCheckPath)),
  /** The Host of that request; null: localhost. */
  checkHost: v.nullable(v.pipe(v.string(), v.check(isCheckHost))),
  trustedProxies: v.array(
    v.pipe(
      v.string(),
      v.check((text) => networkOf(text) !== null),
    ),
  ),
  servers: v.record(name, server),
});
const file = v.strictObject({ version: v.literal(1), balancers: v.array(balancer) });
export type Balancer = v.InferOutput<typeof balancer>;
export type Balancers = ReadonlyMap<string, Balancer>;

/** The name of a balancer in HAProxy. No app's is like that: those are `dp-APP`. */
export const proxyOf = (own: string) => `balancer-${own}`;

/** The stored balancers, by name. Throws DpError "host" when the file cannot be read. */
export async function readBalancers(): Promise<Map<string, Balancer>> {
  const { balancers: path } = filesOf();
  const text = await readText(path);
  if (text === null) return new Map();
  try {
    return new Map(v.parse(file, JSON.parse(text)).balancers.map((each) => [each.name, each]));
  } catch (cause) {
    throw new DpError("host", `${path} cannot be read: ${messageOf(cause)}`, { cause });
  }
}

/** Writes the balancers durably. */
export async function writeBalancers(balancers: Balancers): Promise<void> {
  const kept = { version: 1, balancers: [...balancers.values()] };
  await writeFileAtomic(filesOf().balancers, `${JSON.stringify(kept, null, 2)}\n`, 0o600);
}
