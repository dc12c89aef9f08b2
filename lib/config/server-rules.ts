// What the keys of config.yml require of each other.
import type * as v from "valibot";
import { DpError } from "../errors.ts";
import { fullName, isPrivate, PRIVATE_ENDS } from "./domain-name.ts";
import { usualOf, type ServerKinds } from "./declared.ts";
import type { DomainConfig } from "./types.ts";
import type { serverSchema } from "./server-schema.ts";

type Parsed = v.InferOutput<ReturnType<typeof serverSchema>>;

/** Throws DpError "config" for the first broken rule; answers the strategy, with a default when none is named. */
export function checkServer(parsed: Parsed, { managers, fronts }: ServerKinds, file: string) {
  const { strategy, instances, manager, front, protocol, domains, servers, roles } = parsed;
  if (instances > 1 && managers[manager]?.workers === undefined) {
    const able = Object.keys(managers).filter((name) => managers[name]?.workers !== undefined);
    const choice = `manager: ${able.join(" or ")}`;
    const what = `instances: ${instances} needs ${choice}, and manager is ${manager}`;
    const hint = `let the app start its own workers (gunicorn --workers ${instances}), or choose ${choice}`;
    throw new DpError("config", `${file}: ${what}`, { hint });
  }
  const canRunTwice = fronts[front]?.holdsPort !== false;
  if (!canRunTwice && (strategy === "blue-green" || protocol === "tcp")) {
    const what = strategy === "blue-green" ? "strategy: blue-green" : "protocol: tcp";
    const hint = `write front: ${usualOf(fronts)}`;
    throw new DpError("config", `${file}: ${what} needs a front, and front is ${front}`, { hint });
  }
  if (domains.length > 0) {
    const able = Object.keys(fronts).filter((name) => fronts[name]?.servesDomains);
    checkDomains(domains, able, able.includes(front) && protocol === "http", file);
    checkPaths(domains, front, fronts, file);
  }
  checkServers(servers, roles, file);
  checkGuards(parsed, fronts, file);
  return strategy ?? (canRunTwice ? "blue-green" : "restart");
}

function checkPaths(
  domains: readonly DomainConfig[],
  front: string,
  fronts: ServerKinds["fronts"],
  file: string,
): void {
  for (const domain of domains) {
    const { path, stripPrefix, redirect } = domain;
    if (path === undefined && stripPrefix === undefined) continue;
    const fail = (what: string, hint: string) => {
      throw new DpError("config", `${file}: ${fullName(domain)} ${what}`, { hint });
    };
    if (path === undefined) fail("has stripPrefix, but no path", "write a path behind the name, or take it out");
    if (redirect !== undefined) fail("has a path, and cannot redirect", "take the path or redirect out");
    const able = Object.keys(fronts).filter((name) => fronts[name]?.servesPaths);
    if (!able.includes(front))
      fail(`has a path, which front: ${front} cannot serve`, `write front: ${able.join(" or ")}, or a name of its own`);
  }
}

// A front that does not keep clients away would open what is closed.
function checkGuards(
  { allow, basicAuth, front, protocol }: Pick<Parsed, "allow" | "basicAuth" | "front" | "protocol">,
  fronts: ServerKinds["fronts"],
  file: string,
): void {
  const keys = [...(allow ? ["allow"] : []), ...(basicAuth ? ["basicAuth"] : [])].join(" and ");
  if (keys === "" || (fronts[front]?.guards === true && protocol === "http")) return;
  const able = Object.keys(fronts).filter((name) => fronts[name]?.guards);
  throw new DpError("config", `${file}: ${keys} cannot be kept by front: ${front}, protocol: ${protocol}`, {
    hint: `write front: ${able.join(" or ")} and protocol: http, or take ${keys} out`,
  });
}

function checkDomains(
  domains: readonly DomainConfig[],
  able: readonly string[],
  isServed: boolean,
  file: string,
): void {
  const fail = (what: string, hint: string) => {
    throw new DpError("config", `${file}: ${what}`, { hint });
  };
  if (!isServed)
    fail(
      `domains need front: ${able.join(" or ")}, and protocol: http`,
      "without them, a web server before dp has the domains",
    );
  const own = new Map(domains.map((domain) => [fullName(domain), domain]));
  if (own.size < domains.length) fail("domains has a name twice", "remove one of the two");
  for (const { name, redirect, certificate, tls } of domains) {
    if (tls !== undefined && certificate !== undefined)
      fail(`${name} has tls and certificate`, "remove one of the two");
    if (tls !== undefined && !isPrivate(name))
      fail(
        `${name} cannot have tls: internal, which is for names that end in ${PRIVATE_ENDS.join(", ")}`,
        "remove tls",
      );
    if (redirect === undefined) continue;
    const to = own.get(redirect);
    if (to === undefined || to.redirect !== undefined || redirect.startsWith("*"))
      fail(
        `${name} redirects to ${redirect}, which is no domain of the app that answers`,
        `add "- ${redirect}" to domains`,
      );
  }
}

function checkServers(servers: Parsed["servers"], roles: Parsed["roles"], file: string): void {
  const fail = (what: string, hint: string) => {
    throw new DpError("config", `${file}: ${what}`, { hint });
  };
  const names = Object.keys(servers);
  const here = names.filter((name) => servers[name] === "here");
  if (names.length > 0 && here.length !== 1)
    fail(`servers has ${here.length} servers that are "here", and one must be`, "write NAME: here for this server");
  if (names.length === 1) fail("servers has no other server than this one", "add NAME: dp@ADDRESS, or remove servers");
  const addresses = Object.values(servers);
  const twice = addresses.find((address, at) => addresses.indexOf(address) !== at);
  if (twice !== undefined) fail(`servers has ${twice} twice`, "remove one of the two");
  for (const [role, list] of Object.entries(roles)) {
    const unknown = list.find((name) => !names.includes(name));
    if (unknown !== undefined)
      fail(`roles has ${role} on ${unknown}, which is none of servers`, `servers are ${names.join(", ") || "missing"}`);
    if (list.length === 0) fail(`roles has ${role} on no server`, "name a server, or set scale to 0");
  }
  const [first, second] = roles["cron"] ?? [];
  if (second !== undefined)
    fail(`roles has cron on ${first} and ${second}, and each job must run once`, "name one of them");
}
