import { afterAll, beforeAll, describe } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { imageName } from "../../lib/docker/names.ts";
import swarm from "../../lib/managers/swarm.ts";
import { places } from "../../lib/paths.ts";
import { baseFolder, enter } from "../support/engine.ts";
import { machinesUnavailable, startMachines, type Machine, type Machines } from "../support/nodes.ts";
import { BASE, containersOf, SHARED } from "./containers.ts";
import { managerContract, type Subject } from "./contract.ts";

const why = machinesUnavailable();
if (why !== null) console.warn(`swarm manager: skipped, ${why}`);

let folder: string;
let all: Machines;
let machine: Machine;
let leave: () => void;

beforeAll(async () => {
  if (why !== null) return;
  folder = mkdtempSync(join(tmpdir(), "dp-swarm-"));
  all = await startMachines(1);
  machine = all.machines[0]!;
  leave = enter(machine, folder);
  await machine.must("swarm", "init", "--advertise-addr", machine.address);
  await machine.import(BASE, baseFolder(join(folder, "base")));
}, 60_000);

afterAll(async () => {
  if (why !== null) return;
  await all.stop();
  leave();
  rmSync(folder, { recursive: true });
}, 60_000);

/** Instances that are tied to the one machine, because the contract looks at what they write. */
function subject(): Subject {
  const { container, ...base } = containersOf(machine, folder);
  const place = { web: "node.hostname==n1", worker: "node.hostname==n1", cron: "node.hostname==n1" };
  return {
    ...base,
    manager: swarm,
    container: {
      ...container!,
      async prepare(instance) {
        // Without a port: the way to the tasks is looked at where requests are sent, in e2e/.
        const { PORT: _, ...env } = instance.env;
        await machine.must("tag", BASE, imageName(instance));
        mkdirSync(join(places(instance.app).shared, SHARED), { recursive: true });
        const config = { ...instance.config, type: "docker", shared: { dirs: [SHARED], files: [] } };
        const operator = { swarm: { replicas: 1, place, secrets: [] } };
        return { ...instance, config, env: { ...env, SHARED: `/${SHARED}` }, operator };
      },
    },
  };
}

describe.skipIf(why !== null)("the contract", () => managerContract(subject));
