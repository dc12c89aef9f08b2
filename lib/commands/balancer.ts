// `dp balancer`: HAProxy on this server, in front of several servers of dp.
import { isIP } from "node:net";
import { networkOf } from "../config/network.ts";
import { DpError } from "../errors.ts";
import {
  balancerStates,
  emptied,
  removeBalancer,
  setBalancer,
  setDrained,
  type BalancerState,
} from "../fronts/haproxy/balance.ts";
import {
  isBalancerName,
  isCheckHost,
  isCheckPath,
  isServerAddress,
  type Balancer,
} from "../fronts/haproxy/balancers.ts";
import { makeIo, silentLog } from "../host/io.ts";
import { table } from "../text/table.ts";
import { quoted } from "../text/text.ts";

/** What is typed for a balancer. */
export interface Wish {
  name: string;
  servers: readonly string[];
  port: number | undefined;
  host: string | undefined;
  check: string | undefined;
  checkHost: string | undefined;
  trusted: string | undefined;
}

const must = (isGood: boolean, what: string, hint?: string): void => {
  if (!isGood) throw new DpError("usage", what, hint === undefined ? {} : { hint });
};

const EXAMPLE = "dp balancer add shop --port 80 --check /health a=10.0.0.5:8000 b=10.0.0.6:8000";

/** Adds or changes a balancer; answers one sentence for each change. Throws DpError "usage", "host". */
export async function add(wish: Wish): Promise<string[]> {
  const { name, port, host = "0.0.0.0", check = "/", checkHost = null, trusted } = wish;
  must(isBalancerName(name), `${quoted(name)} cannot be the name of a balancer`, EXAMPLE);
  must(port !== undefined, "a balancer needs the port that it listens on", EXAMPLE);
  must(isIP(host) > 0, `--host must be an IP address, not ${quoted(host)}`);
  must(isCheckPath(check), `--check must be a path such as /health, not ${quoted(check)}`);
  must(
    checkHost === null || isCheckHost(checkHost),
    `--check-host must be a host name, not ${quoted(checkHost ?? "")}`,
  );
  const trustedProxies = (trusted ?? "").split(",").filter(Boolean);
  for (const each of trustedProxies)
    must(networkOf(each) !== null, `--trusted-proxies takes addresses and networks, not ${quoted(each)}`);
  const servers = serversOf(wish.servers);
  const balancer: Balancer = { name, host, port: port!, check, checkHost, trustedProxies, servers };
  return setBalancer(balancer, makeIo(silentLog));
}

function serversOf(words: readonly string[]): Balancer["servers"] {
  must(words.length > 0, "a balancer needs servers", EXAMPLE);
  const servers: Balancer["servers"] = {};
  for (const word of words) {
    const at = word.indexOf("=");
    const [name, address] = [word.slice(0, Math.max(0, at)), word.slice(at + 1)];
    const isGood = isBalancerName(name) && isServerAddress(address);
    must(isGood, `${quoted(word)} is not NAME=IP:PORT`, "a=10.0.0.5:8000, or a=[fd00::5]:8000");
    must(!Object.hasOwn(servers, name), `${name} is there twice`);
    servers[name] = { address, isDrained: false };
  }
  return servers;
}

/** Drains a server, and answers one sentence once it has no request left. Throws DpError "command" when it keeps some. */
export async function drain(name: string, server: string, wait: number, isForced: boolean): Promise<string> {
  await setDrained(name, server, true, isForced);
  const { requests, tunnels } = await emptied(name, server, wait, makeIo(silentLog));
  if (requests + tunnels === 0) return `${server} gets no requests of ${name}, and has none left`;
  const parts = [...(requests > 0 ? [`${requests} requests`] : []), ...(tunnels > 0 ? [`${tunnels} websockets`] : [])];
  throw new DpError("command", `${server} gets no new requests of ${name}, and still has ${parts.join(" and ")}`, {
    hint: `dp balancer drain ${name} ${server} waits again; dp balancer ready ${name} ${server} lets it back in`,
  });
}

/** Lets a server back in. */
export async function ready(name: string, server: string): Promise<string> {
  await setDrained(name, server, false);
  return `${server} gets requests of ${name} as soon as its check succeeds`;
}

/** Removes a balancer. */
export async function remove(name: string): Promise<string> {
  await removeBalancer(name, makeIo(silentLog));
  return `removed the balancer ${name}`;
}

/** The balancers for people. */
export function balancerLines(all: readonly BalancerState[]): string[] {
  if (all.length === 0) return ["no balancer here", `  → ${EXAMPLE}`];
  return all.flatMap(({ name, host, port, check, error, servers }) => {
    const up = servers.filter(({ isUp }) => isUp).length;
    const state = error ?? `${up} of ${servers.length} servers get requests`;
    const rows = servers.map((each) => [each.name, each.address, stateOf(each), each.check, inHand(each)]);
    const head = `${name}  ${host}:${port}, asks for ${check}: ${state}`;
    return [head, ...table(["  SERVER", "ADDRESS", "STATE", "CHECK", "ACTIVE"], rows.map(indented))];
  });
}

/** One line for each balancer, for `dp status`; none where there is none. */
export async function balancerSummary(): Promise<string[]> {
  return (await balancerStates()).map(({ name, host, port, error, servers }) => {
    const up = servers.filter(({ isUp }) => isUp).length;
    return `balancer ${name} on ${host}:${port}: ${error ?? `${up} of ${servers.length} servers get requests`}`;
  });
}

const indented = ([first = "", ...rest]: readonly string[]) => [`  ${first}`, ...rest];
type Server = BalancerState["servers"][number];
const stateOf = ({ isUp, isDrained }: Server) => (isDrained ? "drained" : isUp ? "up" : "down");
const inHand = ({ requests, tunnels }: Server) => String(requests + tunnels);
