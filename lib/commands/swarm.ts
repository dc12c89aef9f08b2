// `dp swarm`: the Docker Swarm of this server. Tokens go through Docker's socket and stdin: no list of processes shows them.
import * as v from "valibot";
import { ask } from "../docker/api.ts";
import { isPodman, requireEngine } from "../docker/client.ts";
import { isThere, managerProblems, nodeRows, type NodeRow } from "../docker/swarm-health.ts";
import { membership, TWO } from "../docker/swarm.ts";
import { access, ensureRegistry, useRegistry } from "../managers/swarm/registry.ts";
import { makeIo, silentLog } from "../host/io.ts";
import { DpError, EXIT } from "../errors.ts";
import { table } from "../text/table.ts";

/** Docker's port for the managers of a swarm. */
const PORT = 2377;

export interface SwarmStatus {
  nodes: NodeRow[];
  /** What is wrong, one sentence each. */
  problems: string[];
}

export async function requireSwarmEngine(): Promise<void> {
  await requireEngine();
  if (await isPodman()) throw new DpError("host", "podman has no swarm", { hint: "apt-get install docker.io" });
}

/** Throws DpError "host" unless this server is a manager of a swarm. */
export async function requireManager(): Promise<void> {
  await requireSwarmEngine();
  const { LocalNodeState, ControlAvailable, RemoteManagers } = await membership();
  if (LocalNodeState !== "active")
    throw new DpError("host", "this server is in no swarm", {
      hint: "dp swarm init, or on a manager: dp swarm invite",
    });
  if (ControlAvailable) return;
  const known = (RemoteManagers ?? []).map(({ Addr }) => Addr.replace(/:\d+$/, "")).join(", ");
  throw new DpError("host", "this server is a worker of its swarm, and only a manager knows the others", {
    hint: `on a manager, ${known}: dp swarm`,
  });
}

/** The nodes of the swarm, and what is wrong with it. */
export async function swarmStatus(): Promise<SwarmStatus> {
  await requireManager();
  const rows = await nodeRows();
  const away = rows.filter((row) => !isThere(row));
  const problems = away.map(({ name, state }) => `${name} is ${state}: its tasks run on the others`);
  problems.push(...managerProblems(rows));
  return { nodes: rows, problems };
}

/** Seven when something is wrong, as for `dp doctor`. */
export const exitCodeFor = ({ problems }: SwarmStatus) => (problems.length > 0 ? EXIT.unhealthy : EXIT.ok);

/** The status for people. */
export function statusLines({ nodes: rows, problems }: SwarmStatus): string[] {
  const lines = table(
    ["NODE", "ADDRESS", "ROLE", "STATE", "DOCKER"],
    rows.map((row) => [row.name, row.address, row.isLeader ? `${row.role}, leads` : row.role, row.state, row.engine]),
  );
  return [...lines, ...problems];
}

const address = (text: string | undefined) => {
  if (text === undefined || /^[0-9a-fA-F.:]+$/.test(text)) return text;
  throw new DpError("usage", `--address must be an IP address of this server, not ${JSON.stringify(text)}`);
};

async function requireNone(): Promise<void> {
  await requireSwarmEngine();
  const { LocalNodeState } = await membership();
  if (LocalNodeState === "inactive") return;
  throw new DpError("host", `this server is in a swarm already, ${LocalNodeState}`, {
    hint: "dp swarm shows it; to leave it: dp swarm leave",
  });
}

/** Makes a swarm of this server. */
export async function init(own: string | undefined): Promise<string[]> {
  const wanted = address(own);
  await requireNone();
  try {
    const body = { ListenAddr: `0.0.0.0:${PORT}`, AdvertiseAddr: wanted ?? "" };
    await ask({ method: "POST", path: "/swarm/init", body });
  } catch (error) {
    if (!(error instanceof DpError) || !/could not choose an IP address|multiple/i.test(error.message)) throw error;
    throw new DpError("usage", "this server has several addresses", {
      lines: [error.message],
      hint: "dp swarm init --address IP, the one that the other servers reach",
      cause: error,
    });
  }
  const { NodeAddr } = await membership();
  return [`this server, ${NodeAddr}, is a swarm of one`, "next: dp setup APP --manager swarm, or dp swarm invite"];
}

const invitation = v.object({ token: v.string(), managers: v.array(v.string()), registry: access });

/** What another server joins with: a secret, for its stdin. Makes the registry, from which that server gets images. */
export async function invite(asManager: boolean, warn: (line: string) => void): Promise<string> {
  await requireManager();
  const { JoinTokens } = v.parse(
    v.object({ JoinTokens: v.object({ Worker: v.string(), Manager: v.string() }) }),
    await ask({ path: "/swarm" }),
  );
  const known = (await membership()).RemoteManagers ?? [];
  if (asManager && known.length === 1) warn("invite two servers as managers: two managers are worse than one");
  const registry = await ensureRegistry(makeIo({ ...silentLog, warn }));
  const token = asManager ? JoinTokens.Manager : JoinTokens.Worker;
  const told: v.InferOutput<typeof invitation> = { token, managers: known.map(({ Addr }) => Addr), registry };
  return Buffer.from(JSON.stringify(told)).toString("base64");
}

function readInvitation(text: string) {
  try {
    return v.parse(invitation, JSON.parse(Buffer.from(text.trim(), "base64").toString()));
  } catch (error) {
    throw new DpError("usage", "stdin has no invitation", {
      hint: "on a manager: dp swarm invite | ssh root@SERVER dp swarm join",
      cause: error,
    });
  }
}

/** Joins the swarm of an invitation. */
export async function join(text: string, own: string | undefined): Promise<string[]> {
  const { token, managers, registry } = readInvitation(text);
  const wanted = address(own);
  await requireSwarmEngine();
  const before = await membership();
  const isIn =
    before.LocalNodeState === "active" && (before.RemoteManagers ?? []).some(({ Addr }) => managers.includes(Addr));
  if (!isIn) await requireNone();
  await useRegistry(registry);
  if (isIn) return [`this server is in that swarm already, and gets images from ${registry.address}`];
  const body = {
    ListenAddr: `0.0.0.0:${PORT}`,
    AdvertiseAddr: wanted ?? "",
    RemoteAddrs: managers,
    JoinToken: token,
  };
  await ask({ method: "POST", path: "/swarm/join", body });
  const { ControlAvailable, Managers } = await membership();
  const role = ControlAvailable ? "a manager" : "a worker";
  return [`this server is ${role} of the swarm of ${managers.join(", ")}`, ...(Managers === 2 ? [TWO] : [])];
}
