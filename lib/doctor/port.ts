// The public port of an app: its front must listen there, and pass requests to the live release.
import type { App } from "../contracts/app.ts";
import { byCommand, byHand, type Check, type Finding } from "../contracts/check.ts";
import { listener } from "../host/process/process.ts";
import { strangersOn } from "../release/instances.ts";
import { portOf } from "../release/ports.ts";
import { liveWeb } from "../release/wanted.ts";
import { describeOwners } from "../host/process/port-owners.ts";

const check: Check = {
  summary: "the public port and what the front does with it",
  atRest: true,
  async app(app) {
    const live = await liveWeb(app);
    return app.front.holdsPort ? frontFindings(app, live) : ownFindings(app, live);
  },
};
export default check;

async function frontFindings(app: App, live: string | null | undefined): Promise<Finding[]> {
  if (live === undefined) return [];
  const { name, server, front } = app;
  const again = (severity: Finding["severity"], what: string) => [byCommand(severity, what, "reconcile", name)];
  const route = await front.status(name);
  const owners = route?.isListening ? [] : await listener(server.port);
  if (owners.length > 0) {
    const what = `port ${server.port} is held by ${await describeOwners(owners)}, not by the ${front.name}`;
    return [byHand("error", what, `end that process and: dp reconcile ${name}; or: dp setup ${name} --port N`)];
  }
  if (route === null) return again("error", `the ${front.name} does not run, or does not know ${name}`);
  if (!route.isListening)
    return again("error", `port ${server.port} is closed: ${route.error ?? "the front does not say why"}`);
  if (route.listen.port !== server.port || route.listen.host !== server.host)
    return again(
      "warning",
      `the ${front.name} holds ${route.listen.host}:${route.listen.port}, but config.yml has ${server.host}:${server.port}`,
    );
  if (live === null) return [];
  const port = await portOf(app, live);
  const to = route.target ? `${route.target.id} on port ${route.target.port}` : "nothing";
  if (route.target?.id !== live || route.target.port !== port)
    return again("error", `the ${front.name} sends to ${to}, and ${live} on port ${port ?? "?"} is live`);
  return route.isHeld ? again("error", `the ${front.name} holds requests back, but no deploy is running`) : [];
}

async function ownFindings(app: App, live: string | null | undefined): Promise<Finding[]> {
  const { name, server } = app;
  const strangers = await strangersOn(app, server.port);
  if (strangers.length > 0) {
    const what = `port ${server.port} is held by ${await describeOwners(strangers)}`;
    return [byHand("error", what, `end that process and: dp restart ${name}; or: dp setup ${name} --port N`)];
  }
  if (!live || (await listener(server.port)).length > 0) return [];
  return [byHand("error", `nobody listens on port ${server.port}`, `dp restart ${name}`)];
}
