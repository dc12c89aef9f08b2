// The command for a balancer in front of several servers: balancer.
import type { CAC } from "cac";
import { answer, byKey, print, textOf, whole, type Options } from "./arguments.ts";
import { waitTime } from "../config/duration.ts";
import { DpError } from "../errors.ts";

/** How long a drain waits by default, in ms. */
const WAIT = 60_000;

export function declareBalancerCommand(cli: CAC): void {
  cli
    .command(
      "balancer [action] [name] [...servers]",
      "Spread requests over several servers, by HAProxy on this one; drain one of them",
      byKey(null),
    )
    .option("--port <port>", "The port that it listens on")
    .option("--host <address>", "The address that it listens on; default: 0.0.0.0, all")
    .option("--check <path>", "The path that every server must answer with a status below 400; default: /")
    .option("--check-host <name>", "The Host of that request, for apps that serve only their own name")
    .option("--trusted-proxies <list>", "Proxies in front of it whose X-Forwarded-For counts: 10.0.0.2,10.1.0.0/24")
    .option("--wait <time>", "How long drain waits for active requests; default: 60s")
    .option("--force", "Drain also the last server that gets requests")
    .option("--json", "As JSON")
    .usage(
      `balancer
  $ dp balancer add NAME --port N SERVER=IP:PORT ...
  $ dp balancer drain NAME SERVER         sends it no more requests, and waits for those under way
  $ dp balancer ready NAME SERVER         sends it requests again
  $ dp balancer remove NAME`,
    )
    .action(async (action: string | undefined, name: string | undefined, servers: string[], options: Options) => {
      const balancer = await import("../commands/balancer.ts");
      if (action === undefined) {
        const all = await (await import("../fronts/haproxy/balance.ts")).balancerStates();
        return answer(options, all, () => balancer.balancerLines(all));
      }
      if (name === undefined) throw usage(action);
      const [server] = servers;
      if (action === "add") return (await balancer.add(wishOf(name, servers, options))).forEach(print);
      if (action === "remove" && server === undefined) return print(await balancer.remove(name));
      if (server === undefined || servers.length > 1) throw usage(action);
      if (action === "drain")
        return print(await balancer.drain(name, server, waitOf(options), options["force"] === true));
      if (action === "ready") return print(await balancer.ready(name, server));
      throw usage(action);
    });
}

/** What each action needs. */
const NEEDS: Readonly<Record<string, string>> = {
  add: "NAME --port N SERVER=IP:PORT ...",
  drain: "NAME SERVER",
  ready: "NAME SERVER",
  remove: "NAME",
};

function usage(action: string): DpError {
  const needs = Object.hasOwn(NEEDS, action) ? NEEDS[action] : undefined;
  const what = needs === undefined ? `does not know ${JSON.stringify(action)}` : `${action} needs ${needs}`;
  return new DpError("usage", `dp balancer ${what}`, { hint: "dp balancer --help" });
}

const wishOf = (name: string, servers: readonly string[], options: Options) => ({
  name,
  servers,
  port: whole(textOf(options, "port"), "--port", 65_535, 1),
  host: textOf(options, "host"),
  check: textOf(options, "check"),
  checkHost: textOf(options, "checkHost"),
  trusted: textOf(options, "trustedProxies"),
});

function waitOf(options: Options): number {
  const text = textOf(options, "wait");
  const wait = text === undefined ? WAIT : waitTime(text);
  if (wait !== null) return wait;
  throw new DpError("usage", `--wait must be a time, not ${JSON.stringify(text)}: 0, 30s, 5m`);
}
