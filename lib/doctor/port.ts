// The public port of an app: its front listens there, and sends to the live release.
import { byCommand, byHand, type Check, type Finding, type Patient } from "../contracts/check.ts";
import { listener } from "../host/process/process.ts";
import { front } from "../registry.ts";
import { strangersOn } from "../release/instances.ts";
import { managerOf } from "../release/manager.ts";
import { portOf } from "../release/ports.ts";
import { liveWeb } from "../release/wanted.ts";
import { describeOwners } from "../host/process/port-owners.ts";

const check: Check = {
  summary: "the public port and what the front does with it",
  atRest: true,
  async app(patient) {
    const { app, server } = patient;
    const live = await liveWeb(app, server);
    const holder = await front(server.front);
    return holder.holdsPort ? frontFindings(patient, live) : ownFindings(app, patient, live);
  },
};
export default check;

async function frontFindings({ app, server }: Patient, live: string | null | undefined): Promise<Finding[]> {
  if (live === undefined) return [];
  const holder = await front(server.front);
  const again = (severity: Finding["severity"], what: string) => [byCommand(severity, what, "reconcile", app)];
  const route = await holder.status(app);
  const owners = route?.isListening ? [] : await listener(server.port);
  if (owners.length > 0) {
    const what = `port ${server.port} is held by ${await describeOwners(owners)}, not by the ${holder.name}`;
    return [byHand("error", what, `end that process and: dp reconcile ${app}; or: dp setup ${app} --port N`)];
  }
  if (route === null) return again("error", `the ${holder.name} does not run, or does not know ${app}`);
  if (!route.isListening)
    return again("error", `port ${server.port} is closed: ${route.error ?? "the front does not say why"}`);
  if (route.listen.port !== server.port || route.listen.host !== server.host)
    return again(
      "warning",
      `the ${holder.name} holds ${route.listen.host}:${route.listen.port}, and config.yml says ${server.host}:${server.port}`,
    );
  if (live === null) return [];
  const port = await portOf({ app, id: live });
  const to = route.target ? `${route.target.id} on port ${route.target.port}` : "nothing";
  if (route.target?.id !== live || route.target.port !== port)
    return again("error", `the ${holder.name} sends to ${to}, and ${live} on port ${port ?? "?"} is live`);
  return route.isHeld ? again("error", `the ${holder.name} holds requests back, and no deploy is running`) : [];
}

async function ownFindings(app: string, { server }: Patient, live: string | null | undefined): Promise<Finding[]> {
  const strangers = await strangersOn(app, server.port, await managerOf(server));
  if (strangers.length > 0) {
    const what = `port ${server.port} is held by ${await describeOwners(strangers)}`;
    return [byHand("error", what, `end that process and: dp restart ${app}; or: dp setup ${app} --port N`)];
  }
  if (!live || (await listener(server.port)).length > 0) return [];
  return [byHand("error", `nobody listens on port ${server.port}`, `dp restart ${app}`)];
}
