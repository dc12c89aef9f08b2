// The servers of an app, as a run begins with them: all are asked before anything happens.
import type { App } from "../contracts/app.ts";
import { DpError } from "../errors.ts";
import type { Group } from "../pipeline/facts.ts";
import { didYouMean } from "../text/suggestion.ts";
import { quoted } from "../text/text.ts";
import { hello } from "./ask.ts";
import { hasServers, ownName } from "./part.ts";
import type { Hello } from "./messages.ts";

/** The servers of a run, and what each other one has said. */
export interface Gathered {
  group: Group;
  others: ReadonlyMap<string, Hello>;
}

/**
 * Asks all other servers of an app, but for those in `without`; null: it has none. Throws DpError "usage" for a name that
 * is none of them, "host" when one is away, "locked" when the app is locked there. `isPushed`: it was typed as `git push`.
 */
export async function gather(app: App, without: readonly string[] = [], isPushed = false): Promise<Gathered | null> {
  const { servers, roles } = app.server;
  if (!hasServers(app.server)) {
    if (without.length > 0) throw new DpError("usage", `${app.name} has one server alone: none can be left out`);
    return null;
  }
  const own = ownName(app.server);
  const names = Object.keys(servers).filter((name) => name !== own);
  const unknown = without.find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new DpError("usage", `${quoted(unknown)} cannot be left out: the other servers are ${names.join(", ")}`, {
      ...didYouMean(unknown, names),
    });
  const wanted = names.filter((name) => !without.includes(name));
  const answers = await Promise.all(wanted.map((name) => hello(app.name, servers[name]!)));
  const others = new Map<string, Hello>();
  const away: [string, string][] = [];
  wanted.forEach((name, at) => {
    const answer = answers[at]!;
    if (typeof answer === "string") away.push([name, answer]);
    else others.set(name, answer);
  });
  requireAll(app, away, without, isPushed);
  for (const [name, { lock }] of others)
    if (lock !== null) throw new DpError("locked", `${app.name} is locked on ${name} by ${lock}`);
  const peers = Object.fromEntries(
    [...others].map(([name, { sha }]) => [name, { address: servers[name]!, has: sha }] as const),
  );
  return { group: { as: "lead", name: own, lead: own, peers, without: [...without], roles }, others };
}

function requireAll(
  app: App,
  away: readonly (readonly [string, string])[],
  without: readonly string[],
  isPushed: boolean,
): void {
  if (away.length === 0) return;
  const names = away.map(([name]) => name);
  const all = [...without, ...names].join(",");
  const [typed, them] = [
    isPushed ? `git push -o without=${all}` : `--without ${all}`,
    names.length === 1 ? "it" : "them",
  ];
  throw new DpError("host", `${names.join(" and ")} cannot be reached, so nothing was begun`, {
    lines: away.map(([name, why]) => `${name}: ${why}`),
    hint: `${typed} leaves ${them} out on purpose; dp fleet sync ${app.name} brings ${them} in line later`,
    reason: "away",
  });
}
