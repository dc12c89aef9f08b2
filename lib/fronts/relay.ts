// dp's own front: one process for the whole server that picks the release for every request.
import { chown } from "node:fs/promises";
import { join } from "node:path";
import { version } from "../../package.json";
import { codeOf, DpError, messageOf } from "../errors.ts";
import type { Domain, Front, FrontStatus, MakeWay, Route, RouteStatus, Target } from "../contracts/front.ts";
import type { Io } from "../host/io.ts";
import { together } from "../host/together.ts";
import { root } from "../paths.ts";
import { listener } from "../host/process/process.ts";
import { relayAt } from "./relay/client.ts";
import { digestOf } from "./relay/guarded.ts";
import { isService } from "../host/daemon/service.ts";
import { relayDrift, restartService, setUpService, USER } from "./relay/service.ts";
import { loadState } from "./relay/state.ts";
import { stopSupervisedRelay, superviseRelay } from "./relay/supervised.ts";
import { describeOwners } from "../host/process/port-owners.ts";
import { accountNamed } from "../host/passwd.ts";
import { idsOf } from "../host/users.ts";

/** The folder of the relay's routes and control socket. */
export const relayFolder = () => `${root()}/var/lib/dp/relay`;

const client = () => relayAt(relayFolder());

/** Whether expectMany has started the relay, and nobody was told yet. */
let isStartedAhead = false;

/** After a boot without systemd. What goes wrong is told when it is started for an app. */
async function expectMany(): Promise<void> {
  if (isStartedAhead || isService()) return;
  const [{ routes }, isRunning] = [await loadState(relayFolder()), await client().isRunning()];
  if (isRunning || routes.length === 0) return;
  isStartedAhead = true;
  startSupervised().catch(() => void (isStartedAhead = false));
}

const startSupervised = () => superviseRelay(relayFolder(), () => client().isRunning());

/** Makes sure that the relay is running in this version of dp; returns what was changed. `running`: what it tells of itself. */
async function ensure(io: Io, running: Pick<FrontStatus, "version"> | null): Promise<string[]> {
  const isRunning = running !== null;
  if (!isService()) {
    // Many apps ask at once: the relay is started once, and one of them tells it.
    const isNew = (!isRunning && (await startSupervised())) || isStartedAhead;
    isStartedAhead = false;
    return isNew ? ["started the relay"] : [];
  }
  const changes = await setUpService(relayFolder(), isRunning, io);
  if (changes.length === 0 && running && running.version !== version) {
    await restartService(io);
    changes.push(`restarted the relay as version ${version}`);
  }
  return changes;
}

const routeOf = async (app: string) => (await client().status(app)).routes.find((route) => route.app === app) ?? null;

/** What the relay tells at one moment: of itself, null when it does not run, and of the route of an app. */
interface Told {
  relay: FrontStatus | null;
  route: RouteStatus | null;
}

/** Those who ask for many apps at once ask the relay once. */
const toldBy = (isBrief: boolean) =>
  together(async (apps): Promise<Map<string, Told>> => {
    const relay = await client().statusOf(apps, isBrief);
    const byApp = new Map(relay?.routes.map((route) => [route.app, route]));
    return new Map(apps.map((app) => [app, { relay, route: byApp.get(app) ?? null }]));
  });
const [wholly, briefly] = [toldBy(false), toldBy(true)];

const isSame = (one: RouteStatus, other: Omit<Route, "target">) =>
  one.listen.host === other.listen.host &&
  one.listen.port === other.listen.port &&
  one.protocol === other.protocol &&
  one.uid === other.uid &&
  one.pass === other.pass &&
  one.guarded === digestOf(other) &&
  Bun.deepEquals(one.domains ?? [], other.domains ?? []) &&
  Bun.deepEquals(one.tls, other.tls) &&
  one.trustedProxies.join() === other.trustedProxies.join();

const holds = (route: RouteStatus | null, { host, port }: Route["listen"]) =>
  route?.isListening === true && route.listen.host === host && route.listen.port === port;

async function setup(route: Omit<Route, "target">, io: Io, makeWay?: MakeWay): Promise<string[]> {
  const told = await briefly(route.app);
  const { host, port } = route.listen;
  if (!holds(told.route, route.listen)) await makeWay?.(told.route !== null);
  const changes = await ensure(io, told.relay);
  // After a start of the relay it is asked again.
  const { route: before } = told.relay !== null && changes.length === 0 ? told : await briefly(route.app);
  if (route.domains?.length) await secure(route, io);
  try {
    const isKnown = before !== null && isSame(before, route);
    if (!isKnown) {
      await client().set(route);
      changes.push(`the relay holds ${host}:${port} for ${route.app}`);
    }
    const after = isKnown ? before : await routeOf(route.app);
    if (after?.isListening) return changes;
    throw new DpError("host", after?.error ?? `the relay does not listen on ${host}:${port}`);
  } catch (error) {
    await refuseOther(route);
    const owners = await listener(port);
    throw new DpError("host", `the relay cannot listen on port ${port}: ${messageOf(error)}`, {
      lines: owners.length > 0 ? [`the port is held by ${await describeOwners(owners)}`] : [],
      hint: `end that process, or give the app another port: dp setup ${route.app} --port N`,
      cause: error,
    });
  }
}

/** Opens the ports of the domains. Their app has its own port too: a deploy does not fail because of them. */
async function secure({ domains = [] }: Omit<Route, "target">, io: Io): Promise<void> {
  const { edgeSettings } = await import("../config/tls.ts");
  const settings = await edgeSettings();
  if (isService()) await ownPairs(settings.certificates, domains);
  const { http, https } = (await client().secure(settings)) ?? {};
  for (const problem of [http?.error, https?.error]) if (problem) io.warn(`domains: ${problem}`);
}

/** The keys of an app that had another front are not the relay's yet. The folders on the way belong to root. */
async function ownPairs(folder: string, domains: readonly Domain[]): Promise<void> {
  const ids = await idsOf(USER);
  for (const { name } of domains) {
    try {
      await chown(join(folder, name.replace("*", "_"), "pair.pem"), ...ids);
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
    }
  }
}

/**
 * Throws DpError "host" when the relay holds the port for another app. Checked first, as the generic hint would be to
 * stop the relay.
 */
async function refuseOther({ app, listen: { port } }: Omit<Route, "target">): Promise<void> {
  const { routes } = await client().status();
  const other = routes.find((route) => route.app !== app && route.listen.port === port);
  if (!other) return;
  throw new DpError("host", `port ${port} belongs to the app "${other.app}"`, { hint: `dp setup ${app} --port N` });
}

async function point(app: string, target: Target | null, io: Io): Promise<void> {
  try {
    await client().point(app, target);
  } catch (error) {
    // A rollback must not fail because the relay has died: the relay starts again with the routes that it had.
    if (await client().isRunning()) throw error;
    await ensure(io, null);
    await client().point(app, target);
  }
}

async function remove(app: string, io: Io): Promise<void> {
  if (!(await client().isRunning())) return;
  const port = (await routeOf(app))?.listen.port;
  await client().remove(app);
  // systemd keeps the socket for the relay and closes it a moment later.
  for (let tries = 0; port !== undefined && tries < 100 && (await listener(port)).length > 0; tries++)
    await io.sleep(20);
  if (!isService() && (await client().status()).routes.length === 0) await stopSupervisedRelay(relayFolder());
}

async function drift(): Promise<string[]> {
  const running = await client().relay();
  const wrong = isService() ? await relayDrift(relayFolder()) : [];
  if (running === null) wrong.push("the relay does not run");
  else if (isService() && running.version !== version)
    wrong.push(`the relay is version ${running.version}, and dp ${version}`);
  return wrong;
}

const relay: Front = {
  name: "relay",
  summary: "dp's own relay: zero lost requests, nothing to install",
  holdsPort: true,
  keyReader: USER,
  socketUid: () => (isService() ? (accountNamed(USER)?.uid ?? null) : process.getuid!()),
  unavailable: async () => (process.platform === "linux" ? null : "the relay needs Linux"),
  expectMany,
  setup,
  drift,
  point,
  hold: (app, limit) => client().hold(app, limit),
  resume: (app) => client().resume(app),
  maintain: (app, maintenance, pass) => client().maintain(app, maintenance, pass),
  drain: (app, id, timeout) => client().drain(app, id, timeout),
  status: async (app, isBrief = false) => (await (isBrief ? briefly : wholly)(app)).route,
  certify: (name) => client().certify(name),
  edge: async () => (await client().relay())?.edge ?? null,
  remove,
};

export default relay;
