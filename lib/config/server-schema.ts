// The schema of config.yml: what the operator of the server decides.
import * as v from "valibot";
import { limitsOf } from "./limits-schema.ts";
import { isAppName } from "../paths.ts";
import { isProcessName } from "../text/ids.ts";
import { serverOf } from "./server-address.ts";
import { ownKeys, usualOf, type ManagerSettings, type Declared, type ServerKinds } from "./declared.ts";
import { isDomain, placeApart } from "./domain-name.ts";
import { allow, basicAuth, network } from "./guard-schema.ts";
import type { DomainConfig } from "./types.ts";
import { claim, duration, mapping, must, oneOf, size, text, whole } from "./field.ts";

// The rules of git-check-ref-format that apply to one branch name.
const BAD_BRANCH = [
  /^-/, // git would take it for an option
  /[\x00-\x20\x7f~^:?*[\\]/,
  /\.\.|@\{|\/\//,
  /^\/|\/$|\.$/,
  /(?:^|\/)\./,
  /\.lock(?:\/|$)/,
  /^(?:@|HEAD)$/,
];
const isBranch = (name: string) => name !== "" && name.length <= 200 && !BAD_BRANCH.some((bad) => bad.test(name));
const branchWords = must("a branch name such as main");

const branch = v.pipe(
  v.string(branchWords),
  v.check(isBranch, branchWords),
  v.check((name) => !name.startsWith("refs/"), 'must be the branch alone, without "refs/heads/"'),
  v.description("The branch whose pushes are deployed."),
);

const OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const host = v.pipe(
  text(new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`), "an IPv4 address such as 127.0.0.1"),
  v.description("The public address. 127.0.0.1 keeps the app behind a proxy; 0.0.0.0 opens it to the world."),
);

const path = v.pipe(
  text(/^\/[^:\x00-\x1f\x7f]*(?::\/[^:\x00-\x1f\x7f]*)*$/, 'absolute folders joined by ":"'),
  v.maxLength(4096, "is longer than 4096 characters"),
  v.description("PATH of builds, hooks and the app. Default: the system's folders."),
);

const user = v.pipe(
  text(/^[a-z_][a-z0-9_-]{0,31}$/, "the name of a system user"),
  v.check((name) => name !== "root", "must not be root: pushed code would be root too"),
  v.description("The system user that builds and runs the app. Default: its own, dp-NAME."),
);

const env = v.pipe(
  text(/^[a-z][a-z0-9_-]{0,30}$/, "a lower-case word such as production"),
  v.description("The environment: the app's settings are read from .env.ENV in its base folder."),
);

const madeFor = v.pipe(
  text(/^[a-z](?:-?[a-z0-9]){0,27}$/, "the name of an app"),
  v.description(
    "The name that deploy.yml must have, when it is not the app's own: one commit for several environments.",
  ),
);

const scale = v.pipe(
  v.record(
    v.pipe(v.string(), v.check(isProcessName, must("the name of a process"))),
    whole(0, 100),
    must("a mapping such as {worker: 2}"),
  ),
  v.check(
    ({ web = 1 }) => web === 1,
    "web is one process: it serves many requests at once, and dp starts the next release beside it; scale its own workers in command",
  ),
  v.description("How many of each process run: {worker: 2}. Default: one of each."),
);

const domainName = v.pipe(
  v.string(must("a domain such as shop.example.com")),
  v.check(
    (text) => placeApart(text) !== null,
    must("a domain such as shop.example.com, in lower case, or a path below one"),
  ),
  v.description("The name, *.example.com for all names below one, or a path: shop.example.com/api."),
);

const domain = v.union(
  [
    v.pipe(
      domainName,
      v.transform((name): DomainConfig => placeApart(name)!),
    ),
    v.pipe(
      mapping({
        name: domainName,
        redirect: v.exactOptional(
          v.pipe(
            v.string(must("a domain")),
            v.check(isDomain, must("a domain in lower case")),
            v.description("The domain of this app to which clients are redirected."),
          ),
        ),
        certificate: v.exactOptional(
          v.pipe(
            text(/^\/[^\x00-\x1f\x7f]*$/, "an absolute folder"),
            v.description("A folder with fullchain.pem and privkey.pem, which another program renews."),
          ),
        ),
        tls: v.exactOptional(
          v.pipe(
            oneOf(["internal"]),
            v.description("internal: dp's own CA gives the certificate, for names such as shop.lan."),
          ),
        ),
        stripPrefix: v.exactOptional(
          v.pipe(claim(), v.description("true: the app gets its requests without the path of its name.")),
        ),
      }),
      v.transform(({ name, ...more }): DomainConfig => ({ ...placeApart(name)!, ...more })),
    ),
  ],
  must("a domain such as shop.example.com, a path below one, or {name: …, redirect: …}"),
);

const domains = v.pipe(
  v.array(domain, must("a list of domains")),
  v.description("The names by which clients reach the app over https; dp domains writes them."),
);

const tls = v.pipe(
  mapping({
    http: v.optional(
      v.pipe(
        oneOf(["redirect", "serve"]),
        v.description("What port 80 does with the domains: redirect to https, or serve the app as well."),
      ),
      "redirect",
    ),
    hsts: v.optional(
      duration("0s", "17520h", "How long browsers may use only https (Strict-Transport-Security); 8760h is a year."),
      "0s",
    ),
  }),
  v.description("How the domains are served."),
);

const serverName = v.pipe(v.string(), v.check(isAppName, must("a name of lower-case letters, digits and dashes")));

const servers = v.pipe(
  v.record(
    serverName,
    v.pipe(
      v.string(must("here, or an address such as dp@203.0.113.5")),
      v.check((address) => address === "here" || serverOf(address) !== null, must("here, or [USER@]HOST[:PORT]")),
    ),
    must("a mapping such as {a: here, b: dp@203.0.113.5}"),
  ),
  v.description("The servers that a push deploys to: NAME: here, and NAME: [USER@]HOST[:PORT] for each other one."),
);

const roles = v.pipe(
  v.record(
    v.pipe(
      v.string(),
      v.check((name) => name === "cron" || isProcessName(name), must("the name of a process, or cron")),
    ),
    v.array(serverName, must("a list of servers such as [a, b]")),
    must("a mapping such as {web: [a, b], worker: [c]}"),
  ),
  v.description("Which processes run on which of the servers. Default: each on all, and cron where the push arrives."),
);

const notify = v.pipe(
  v.union(
    [
      v.literal(false),
      mapping({
        to: v.exactOptional(
          v.pipe(
            v.array(text(/^[a-z](?:-?[a-z0-9]){0,27}$/, "the name of a target"), must("a list of targets")),
            v.description("The only targets of notify.yml that are told about this app."),
          ),
        ),
        down: v.exactOptional(
          duration("0s", "24h", "How long it must be bad before it is down. Default: at two looks in a row."),
        ),
      }),
    ],
    must("false, or a mapping such as {to: [team], down: 5m}"),
  ),
  v.description("Who is told about this app, and when it counts as down; false: nobody is told."),
);

// The keys of app types and managers, each named like its owner.
const own = ({ apps, managers }: ServerKinds) => ({ ...ownKeys(managers, "server"), ...ownKeys(apps, "server") });

/** The names of those keys. */
export const serverKeys = (kinds: ServerKinds): string[] => Object.keys(own(kinds));

const workersNeed = (managers: Declared<ManagerSettings>): string =>
  Object.entries(managers)
    .flatMap(([name, { workers }]) => (workers === undefined ? [] : [`manager ${name} and ${workers}`]))
    .join(", or ");

/**
 * The schema of config.yml for what it can name; it keeps the keys of app types and managers beside those of the core.
 */
export function serverSchema(kinds: ServerKinds) {
  const entries = declareKeys(kinds);
  return mapping({ ...entries, ...own(kinds) } as typeof entries);
}

function declareKeys({ managers, fronts }: ServerKinds) {
  const bare = Object.keys(fronts).filter((name) => fronts[name]?.holdsPort === false);
  return {
    port: v.pipe(whole(1, 65535), v.description("The public port."), v.examples([8000])),
    manager: v.pipe(
      oneOf(Object.keys(managers)),
      v.description("What starts, stops and watches the app's processes."),
      v.examples([usualOf(managers)]),
    ),
    instances: v.optional(
      v.pipe(whole(1, 64), v.description(`How many workers share the port. More than 1: ${workersNeed(managers)}.`)),
      1,
    ),
    for: v.exactOptional(madeFor),
    env: v.optional(env, "production"),
    branch: v.optional(branch, "main"),
    host: v.optional(host, "127.0.0.1"),
    keep: v.optional(v.pipe(whole(1, 100), v.description("How many good releases to keep.")), 5),
    minFree: v.exactOptional(
      size("How much must be free on the disk for a deploy. Default: twice the largest recent deploy, at least 100m."),
    ),
    keepLogs: v.optional(
      v.pipe(
        whole(10, 100_000),
        v.description(
          "How many deploys to keep logs and records for; releases that are still on disk always keep theirs.",
        ),
      ),
      200,
    ),
    strategy: v.exactOptional(
      v.pipe(
        oneOf(["blue-green", "restart"]),
        v.description(
          "blue-green: the new release starts beside the old one. restart: the old one stops first, while requests wait at the front. Default: blue-green, and restart without a front.",
        ),
      ),
    ),
    front: v.optional(
      v.pipe(
        oneOf(Object.keys(fronts)),
        v.description(`What holds the public port. ${bare.join(", ")}: the app itself, with a gap at each deploy.`),
      ),
      usualOf(fronts),
    ),
    protocol: v.optional(
      v.pipe(
        oneOf(["http", "tcp"]),
        v.description("tcp: for apps that do not speak HTTP; their connections are cut at a switch."),
      ),
      "http",
    ),
    trustedProxies: v.optional(
      v.pipe(
        v.array(network, must("a list of addresses")),
        v.description("The addresses and networks of proxies before dp; their X-Forwarded headers are trusted."),
      ),
      [],
    ),
    domains: v.optional(domains, []),
    tls: v.optional(tls, { http: "redirect", hsts: "0s" }),
    allow: v.exactOptional(allow),
    basicAuth: v.exactOptional(basicAuth),
    verifyTime: v.optional(
      duration(
        "0s",
        "10m",
        "How long the new release is watched after the switch at most; half of it once it has proved itself. If it fails, the deploy goes back.",
      ),
      "3s",
    ),
    drainTimeout: v.optional(duration("0s", "1h", "How long in-flight requests on the old release may take."), "30s"),
    holdTimeout: v.optional(
      duration("1s", "10m", "How long requests wait while strategy restart restarts the app."),
      "30s",
    ),
    keepWarm: v.optional(
      duration("0s", "24h", "How long the old release keeps running after a switch, for an instant rollback."),
      "0s",
    ),
    maxFailed: v.exactOptional(
      v.pipe(
        v.number(must("a whole number")),
        v.integer(must("a whole number")),
        v.minValue(0, must("0 or more")),
        v.description(
          "Roll back if more than this many of dp's own probe requests fail during the switch. Default: no limit.",
        ),
      ),
    ),
    build: v.exactOptional(
      limitsOf("a build or hook", "Limits of builds and hooks, where systemd runs and dp is root."),
    ),
    scale: v.optional(scale, {}),
    gate: v.optional(
      v.pipe(
        claim(),
        v.description("true: a failed deploy rejects the push. false: the push is accepted, then deployed."),
      ),
      true,
    ),
    servers: v.optional(servers, {}),
    roles: v.optional(roles, {}),
    notify: v.exactOptional(notify),
    user: v.exactOptional(user),
    path: v.exactOptional(path),
    stopTimeout: v.optional(
      duration("1s", "10m", "How long the app may take to stop after SIGTERM before it is killed."),
      "30s",
    ),
    stepTimeout: v.optional(
      duration("1s", "6h", "How long one command of a deploy may take: install, build, a hook."),
      "15m",
    ),
  };
}
