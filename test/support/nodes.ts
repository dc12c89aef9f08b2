// Machines with a Docker engine each, in network namespaces of their own: a swarm can be made of them.
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { script } from "./box-host.ts";
import { commands, engineUnavailable, keep, type Engine } from "./engine.ts";

export interface Machine extends Pick<Engine, "docker" | "must" | "import" | "variables"> {
  /** Its address between the machines. */
  address: string;
  /** Its part of the folder; `etc` in it is its /etc/docker. */
  folder: string;
  /** The words before a command that shall run on it: in its networks, with the host's files. */
  inside(): string[];
}

export interface Machines {
  folder: string;
  machines: Machine[];
  /** Takes a machine off the network, and ends all that runs on it. */
  cut(number: number): Promise<void>;
  start(number: number): Promise<void>;
  stop(): Promise<void>;
}

/** Why there can be no such machines here, or null. With CI set and as root that is a failure. */
export const machinesUnavailable = engineUnavailable;

/** Starts that many machines, numbered from 1. */
export async function startMachines(count: number): Promise<Machines> {
  const folder = mkdtempSync(join(tmpdir(), "dp-nodes-"));
  const name = basename(folder).toLowerCase();
  const kept = await keep(folder, [script("nodes.sh"), folder, String(count), name]);
  const machines = Array.from({ length: count }, (_, index): Machine => {
    const own = join(folder, `n${index + 1}`);
    const host = `unix://${own}/run/docker.sock`;
    return {
      address: `10.77.0.${index + 1}`,
      folder: own,
      inside: () => ["nsenter", `--net=/proc/${readFileSync(join(own, "holder"), "utf8").trim()}/ns/net`],
      ...commands(own, ["env", `DOCKER_HOST=${host}`, "/usr/bin/docker"]),
      variables: (path) => ({ DOCKER_HOST: host, PATH: path }),
    };
  });
  return {
    ...{ folder, machines, stop: kept.stop },
    cut: (number) => kept.tell(`cut ${number}`),
    start: (number) => kept.tell(`start ${number}`),
  };
}
