// The entrance of an app on each node: a HAProxy that holds the port, and stays while releases come and go.
import type { Route } from "../../contracts/front.ts";
import { ask } from "../../docker/api.ts";
import { removeService, serviceOf, servicesWith, updateService, type Service } from "../../docker/swarm.ts";
import { DpError } from "../../errors.ts";
import type { Io } from "../../host/io.ts";
import { render, template } from "../../host/template.ts";
import { places, root } from "../../paths.ts";
import { configName, configUse, removeUnusedConfigs } from "./configs.ts";
import { entranceName, nodeLabels, SOCKETS, socketsVolume } from "./node-names.ts";
import { createOnNodes, haproxyReference, onNodes, runningOnNodes } from "./on-nodes.ts";

/** The port of HAProxy in its container. */
const INSIDE = 8000;
/** How long its requests may take to end when it is replaced, in ms. */
const STOP = 30_000;
/** How long containers that were removed may need to be gone, in ms. */
const GONE = 10_000;
const PASSED_ON = "    # Connections are passed on as they are.";
/** The labels of its service: the port that it opens, and its configuration. */
const [PORT, CONFIG] = ["dp.port", "dp.config"] as const;

type Settings = Pick<Route, "app" | "protocol" | "trustedProxies">;

async function forwarded(trustedProxies: readonly string[]): Promise<string> {
  if (trustedProxies.length === 0) return template("haproxy/edge.cfg");
  return render(await template("haproxy/behind.cfg"), { trusted: trustedProxies.join(" ") });
}

/** The text of its configuration. */
export async function entranceText({ app, protocol, trustedProxies }: Settings): Promise<string> {
  const isHttp = protocol === "http";
  const named = `503 ${places(app).app}: no release is live\\n`;
  const http = `    # Only what may be asked twice is asked twice.
    http-request disable-l7-retry unless { method GET HEAD OPTIONS }
${await forwarded(trustedProxies)}`;
  return render(await template("swarm/entrance.cfg"), {
    mode: isHttp ? "http" : "tcp",
    client: isHttp ? "60s" : "24h",
    inside: String(INSIDE),
    sockets: SOCKETS,
    defaults: isHttp ? "    option http-server-close\n    retry-on conn-failure empty-response" : PASSED_ON,
    rules: isHttp ? http.trimEnd() : PASSED_ON,
    closed: isHttp
      ? `    http-request return status 503 content-type text/plain string "${named}"`
      : "    tcp-request content reject",
  });
}

/** Throws DpError "config" when another app of this server has the port. */
async function requireOwn(app: string, port: number): Promise<void> {
  const others = await servicesWith({ "dp.root": root() || "/", [PORT]: String(port) });
  const other = others.map(({ Spec }) => Spec.Labels["dp.entrance"]).find((name) => name !== places(app).app);
  if (other === undefined) return;
  throw new DpError("config", `port ${port} is the entrance of ${other}`, {
    hint: "give each app of the swarm an entrance of its own in config.yml",
  });
}

/**
 * Makes the entrance with these settings, or replaces it node by node if it has others; answers sentences. Throws DpError
 * "command" when it does not start on a node.
 */
export async function ensureEntrance(settings: Settings, port: number, io: Io): Promise<string[]> {
  const { app } = settings;
  const text = await entranceText(settings);
  const labels = { [PORT]: String(port), [CONFIG]: configName(app, text) };
  const found = await serviceOf(entranceName(app));
  if (found !== null && isAs(found, labels)) return [];
  await requireOwn(app, port);
  const config = await configUse(app, text, "/haproxy.cfg");
  const service = { app, name: entranceName(app), labels, config, env: [], stopTimeout: STOP };
  const spec = onNodes({ ...service, port: { published: port, inside: INSIDE } }, await haproxyReference(io));
  if (found === null) await createOnNodes(spec, io);
  try {
    if (found !== null) await replace(app, (now) => void Object.assign(now, spec), io);
    await runningOnNodes(entranceName(app), io);
  } catch (error) {
    if (found === null) await removeService(entranceName(app));
    throw error;
  } finally {
    await removeUnusedConfigs(app);
  }
  return [`${found === null ? "opened" : "replaced"} the entrance on port ${port} of each node`];
}

const isAs = ({ Spec }: Service, labels: Readonly<Record<string, string>>) =>
  Object.entries(labels).every(([key, value]) => Spec.Labels[key] === value);

/** Changes the service, and waits until Docker has replaced it node by node. */
async function replace(app: string, change: (spec: Service["Spec"]) => void, io: Io): Promise<void> {
  const name = entranceName(app);
  const before = (await serviceOf(name))?.UpdateStatus?.StartedAt;
  await updateService(name, change);
  for (;;) {
    // Until Docker has begun, the state is that of the change before.
    const { State = "", StartedAt } = (await serviceOf(name))?.UpdateStatus ?? {};
    if (StartedAt && StartedAt !== before && State !== "updating") {
      if (State === "completed") return;
      throw new DpError("command", "the entrance could not be replaced on every node", {
        hint: `docker service ps --no-trunc ${name}`,
      });
    }
    await io.sleep(200);
  }
}

/** Gives the entrance this server's HAProxy, when that is another one by now; answers sentences. */
export async function renewEntrance(app: string, io: Io): Promise<string[]> {
  const found = await serviceOf(entranceName(app));
  if (found === null) return [];
  const image = await haproxyReference(io);
  if (found.Spec.TaskTemplate.ContainerSpec.Image === image) return [];
  await replace(app, (spec) => void (spec.TaskTemplate.ContainerSpec.Image = image), io);
  return ["replaced HAProxy in the entrance of each node"];
}

/** Removes all that an app has on the nodes; answers whether there was something. Safe to repeat. */
export async function removeEntrance(app: string): Promise<boolean> {
  const services = await servicesWith(nodeLabels(app));
  for (const { Spec } of services) await removeService(Spec.Name);
  await removeUnusedConfigs(app);
  return services.length > 0;
}

/** Removes the volume of the sockets on this server, once the containers are gone. Safe to repeat. */
export async function removeSockets(app: string): Promise<void> {
  const end = performance.now() + GONE;
  for (;;) {
    try {
      return void (await ask({ method: "DELETE", path: `/volumes/${socketsVolume(app)}` }));
    } catch (error) {
      if (!(error instanceof DpError) || error.reason !== "409") throw error;
      if (performance.now() > end) return;
      await Bun.sleep(200);
    }
  }
}
