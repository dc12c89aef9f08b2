// Traffic counts of an app, from HAProxy's statistics and its open streams.
import type { RouteStatus } from "../../contracts/front.ts";
import { serverOf, type KeptRoute } from "./routes.ts";
import { tellAll } from "./runtime.ts";

/** The requests and connections in flight on one server. */
export interface InFlight {
  requests: number;
  tunnels: number;
}

/** Rows of "show stat", by server name ("FRONTEND", "BACKEND", "s1"). */
export function statsFrom(text: string, proxy: string): Map<string, Record<string, string>> {
  const lines = text.split("\n");
  const names = (lines.find((line) => line.startsWith("# pxname")) ?? "").slice(2).split(",");
  const rows = lines.filter((line) => line.startsWith(`${proxy},`)).map((line) => line.split(","));
  return new Map(rows.map((row) => [row[1]!, Object.fromEntries(names.map((name, at) => [name, row[at] ?? ""]))]));
}

/**
 * The streams of "show sess" that have a server, counted by its name. In mode http a stream without analysers is an
 * upgraded connection.
 */
export function inFlightFrom(text: string, proxy: string, protocol: "http" | "tcp"): Map<string, InFlight> {
  const found = new Map<string, InFlight>();
  for (const line of text.split("\n")) {
    const { 1: server } = new RegExp(` be=${proxy} srv=(\\S+) `).exec(line) ?? [];
    if (server === undefined || server === "<none>") continue;
    const sum = found.get(server) ?? { requests: 0, tunnels: 0 };
    const isTunnel = protocol === "http" && / rq\[[^\]]*an=00h.* rp\[[^\]]*an=00h/.test(line);
    if (isTunnel) sum.tunnels++;
    else sum.requests++;
    found.set(server, sum);
  }
  return found;
}

/** The in-flight counts of each server of a route, over all workers. Throws DpError "host" when HAProxy is not running. */
export async function inFlight(route: KeptRoute): Promise<Map<string, InFlight>> {
  const sum = new Map<string, InFlight>();
  for (const text of (await tellAll(["show sess"])).values()) {
    for (const [server, { requests, tunnels }] of inFlightFrom(text, `dp-${route.app}`, route.protocol)) {
      const known = sum.get(server) ?? { requests: 0, tunnels: 0 };
      sum.set(server, { requests: known.requests + requests, tunnels: known.tunnels + tunnels });
    }
  }
  return sum;
}

/** The counts of a route, over all workers. Throws DpError "host" when HAProxy is not running. */
export async function countsOf(
  route: KeptRoute,
): Promise<Pick<RouteStatus, "isListening" | "connections" | "requests" | "failed" | "waiting" | "inFlight">> {
  const proxy = `dp-${route.app}`;
  const counts = { isListening: false, connections: 0, requests: 0, failed: 0, waiting: 0 };
  for (const [worker, text] of await tellAll([`dp hold ${route.app}`, `show stat ${proxy} 7 -1`])) {
    const rows = statsFrom(text, proxy);
    const [front, back] = [rows.get("FRONTEND"), rows.get("BACKEND")];
    if (worker.isCurrent && front) counts.isListening = front["status"] === "OPEN";
    const sum = (row: Record<string, string> | undefined, ...names: string[]) =>
      names.reduce((total, name) => total + Number(row?.[name] ?? 0), 0);
    counts.waiting += Number(/^(\d+)$/m.exec(text)?.[1] ?? 0);
    counts.connections += sum(front, "scur");
    // Requests for the domains come through another frontend, and only the backend counts them.
    counts.requests +=
      route.protocol === "tcp" ? sum(front, "conn_tot") : sum(front, "intercepted") + sum(back, "stot");
    counts.failed += sum(front, "intercepted") + sum(back, "econ", "eresp");
  }
  const servers = await inFlight(route);
  const byRelease = route.slots.flatMap((slot, at) => {
    const count = servers.get(serverOf(at));
    return slot && count ? [[slot.id, count] as const] : [];
  });
  return { ...counts, inFlight: Object.fromEntries(byRelease) };
}
