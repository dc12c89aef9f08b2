// Whether the servers are alike in what a native app runs on: a job asks each of them, and has the app's image sent there.
import { ask } from "../../docker/api.ts";
import { hasEnded, membership, nodes, removeService, serviceOf, tasksOf, type Task } from "../../docker/swarm.ts";
import type { Instance } from "../../contracts/manager.ts";
import { DpError } from "../../errors.ts";
import type { Io } from "../../host/io.ts";
import { run } from "../../host/run.ts";
import { template } from "../../host/template.ts";
import { root } from "../../paths.ts";
import { releaseOf } from "../../text/ids.ts";
import { alikeName, appLabels } from "./names.ts";
import { nativeMounts } from "./native.ts";

/** How long the servers may take to get the image and to answer, in ms. */
const PATIENCE = 10 * 60_000;
const LOOK = 100;

/** What was asked already by this process: a deploy starts several instances of one release. */
const asked = new Set<string>();

const DIFFERS: Readonly<Record<number, string>> = {
  3: "has another processor architecture",
  4: "has another release of the operating system",
  5: "has no such interpreter, or another version of it",
};

/** What this server answers to the same questions. */
async function ownAnswers({ runsOn }: Instance): Promise<string[]> {
  const machine = (await run(["uname", "-m"])).text;
  const system = (await run(["sh", "-c", '. /usr/lib/os-release && echo "$ID $VERSION_ID"'])).text;
  const program = runsOn?.interpreter?.program;
  if (program === undefined) return [machine, system, "-", "-"];
  return [machine, system, program, (await run([program, "--version"])).text];
}

/**
 * Throws DpError "host" unless every server on which an instance may run is like this one. `reference`: its image as the
 * servers know it.
 */
export async function requireAlike(
  instance: Instance,
  reference: string,
  place: string | undefined,
  io: Io,
): Promise<void> {
  const key = `${instance.app}@${releaseOf(instance.id)} ${place ?? ""}`;
  if (asked.has(key) || (await membership()).Nodes <= 1) return;
  const name = alikeName(instance.app);
  await removeService(name);
  const answers = await ownAnswers(instance);
  const container = {
    Image: reference,
    Command: ["/bin/sh", "-c", await template("swarm/alike.sh"), "alike", ...answers],
    Env: ["PATH=/usr/bin:/bin"],
    Labels: appLabels(instance.app),
    CapabilityDrop: ["ALL"],
    Mounts: nativeMounts(instance.app),
  };
  const task = {
    ContainerSpec: container,
    RestartPolicy: { Condition: "none" },
    Placement: place === undefined ? {} : { Constraints: [place] },
  };
  const body = {
    Name: name,
    Labels: { "dp.root": root() || "/" },
    TaskTemplate: task,
    EndpointSpec: { Mode: "dnsrr" },
    Mode: { GlobalJob: {} },
  };
  await ask({ method: "POST", path: "/services/create", body, signal: io.signal });
  try {
    await judge(name, answers, io);
  } finally {
    await removeService(name);
  }
  asked.add(key);
}

async function judge(name: string, answers: readonly string[], io: Io): Promise<void> {
  const end = performance.now() + PATIENCE;
  for (;;) {
    const service = await serviceOf(name);
    const tasks = service === null ? [] : await tasksOf(service);
    const bad = tasks.find((task) => hasEnded(task) && task.Status.State !== "complete");
    if (bad !== undefined) throw await unlike(bad, answers);
    // Without any server that fits, the start of the app says so.
    if (tasks.length > 0 ? tasks.every(hasEnded) : performance.now() > end - PATIENCE + 5_000) return;
    if (performance.now() > end)
      throw new DpError("command", `the servers have not answered within ${PATIENCE / 60_000} minutes`, {
        hint: "dp swarm",
      });
    await io.sleep(LOOK);
  }
}

async function unlike(
  { NodeID, Status }: Task,
  [machine, system, program, version]: readonly string[],
): Promise<DpError> {
  const name = (await nodes()).find(({ ID }) => ID === NodeID)?.Description.Hostname ?? NodeID;
  const differs = DIFFERS[Status.ContainerStatus?.ExitCode ?? 0];
  const here = `${machine}, ${system}${program === "-" ? "" : `, ${version} as ${program}`}`;
  return new DpError("host", `${name} ${differs ?? `cannot run the app: ${Status.Err || Status.State}`}`, {
    lines: [`this server has ${here}`],
    hint: `make ${name} the same, or keep the app away from it: place, see dp help docker-swarm`,
  });
}
