// A container as its engine describes it: state, restarts, health, ports.
import * as v from "valibot";
import { howEnded, signalNamed, type Ended } from "../host/process/ending.ts";
import { docker, objectsIn } from "./client.ts";
import { containerName, labels, ownOptions } from "./names.ts";
import type { InstanceName, InstanceStatus } from "../host/instance.ts";

const health = v.object({
  Status: v.string(),
  Log: v.nullish(v.array(v.object({ ExitCode: v.number(), Output: v.string() }))),
});
const binding = v.object({ HostIp: v.string(), HostPort: v.string() });

/** The parts of `docker container inspect` that dp reads; podman's differ only in one name. */
const schema = v.object({
  Name: v.string(),
  RestartCount: v.number(),
  State: v.object({
    Status: v.string(),
    OOMKilled: v.boolean(),
    Pid: v.number(),
    ExitCode: v.number(),
    Error: v.optional(v.string(), ""),
    StartedAt: v.string(),
    Health: v.nullish(health),
    Healthcheck: v.nullish(health),
  }),
  Config: v.object({ Labels: v.nullish(v.record(v.string(), v.string())) }),
  Mounts: v.nullish(v.array(v.object({ Source: v.nullish(v.string()) }))),
  HostConfig: v.object({ RestartPolicy: v.object({ Name: v.string() }) }),
  NetworkSettings: v.object({ Ports: v.nullish(v.record(v.string(), v.nullish(v.array(binding)))) }),
});
export type Container = v.InferOutput<typeof schema>;

/** The release of a container, by its name and labels, or null when dp did not make it. */
function releaseOf(app: string, { Name, Config }: Container): string | null {
  const id = Config.Labels?.["dp.release"] ?? "";
  const wanted = Object.entries(labels({ app, id }));
  const isOwn = wanted.every(([key, value]) => Config.Labels?.[key] === value);
  return isOwn && Name.replace(/^\//, "") === containerName({ app, id }) ? id : null;
}

async function inspect(names: readonly string[]): Promise<Container[]> {
  if (names.length === 0) return [];
  // One of several may be gone meanwhile: the others are still described.
  const argv = ["container", "inspect", ...names];
  const { text } = await docker(argv, undefined, { check: false, keep: 16 * 1024 * 1024 });
  return objectsIn(text).map((one) => v.parse(schema, one));
}

/** The server's folders that these containers have mounted, as absolute paths. */
export async function mountsOf(names: readonly string[]): Promise<{ name: string; sources: string[] }[]> {
  const all = await inspect(names);
  return all.map(({ Name, Mounts }) => ({
    name: Name.replace(/^\//, ""),
    sources: (Mounts ?? []).flatMap(({ Source }) => Source ?? []),
  }));
}

/** The container of an instance, or null when dp made none. */
export async function containerOf(name: InstanceName): Promise<Container | null> {
  const [found] = await inspect([containerName(name)]);
  return found && releaseOf(name.app, found) === name.id ? found : null;
}

/** A container by its name, whoever made it, or null. */
export const containerNamed = async (name: string): Promise<Container | null> => (await inspect([name]))[0] ?? null;

/** The names of all containers of an app, one-off ones included; `isAll`: also those that do not run. */
export async function namesOf(app: string, isAll = true): Promise<string[]> {
  const argv = ["container", "ls", ...(isAll ? ["--all"] : []), "--format", "{{.Names}}", ...ownOptions(app)];
  const { text } = await docker(argv);
  // Any other line is a warning of the engine.
  return text.split("\n").filter((line) => /^[\w.-]+$/.test(line));
}

/** The containers of an app's releases, by release, without one-off containers. */
export async function containersOf(app: string): Promise<Map<string, Container>> {
  const own = (await inspect(await namesOf(app))).flatMap((found): [string, Container][] => {
    const id = releaseOf(app, found);
    return id === null ? [] : [[id, found]];
  });
  return new Map(own);
}

/** Whether its main process runs. */
export const isRunning = ({ State }: Container) => State.Status === "running" || State.Status === "paused";
/** Whether it waits to be restarted after a crash. */
export const isWaiting = ({ State }: Container) => State.Status === "restarting";

/**
 * The state of a container in the terms of every manager. `wasStopped`: dp stopped it, so its exit code means nothing.
 */
export function statusFrom(found: Container | null, wasStopped: boolean): InstanceStatus {
  const ended = { pid: null, restarts: found?.RestartCount ?? 0, since: null };
  if (found === null) return { ...ended, state: "stopped", detail: "" };
  const { State, RestartCount } = found;
  if (isRunning(found)) {
    const { Status: health = "" } = healthOf(found) ?? {};
    const detail = State.Status === "paused" ? "paused" : health === "" ? "" : `HEALTHCHECK reports ${health}`;
    const since = new Date(State.StartedAt).toISOString();
    return {
      state: "running",
      pid: State.Pid,
      restarts: RestartCount,
      since,
      detail,
      ...(health === "" ? {} : { isUnhealthy: health === "unhealthy" }),
    };
  }
  if (isWaiting(found)) return { ...ended, state: "waiting", ...endOf(found) };
  const isFailed = !wasStopped && (State.ExitCode !== 0 || State.Error !== "");
  return isFailed ? { ...ended, state: "failed", ...endOf(found) } : { ...ended, state: "stopped", detail: "" };
}

/** The last result of the image's own health check, or null when it has none. */
export function healthOf({ State }: Container) {
  const health = State.Health ?? State.Healthcheck;
  return health && health.Status !== "" && health.Status !== "none" ? health : null;
}

function endOf({ State: { OOMKilled, ExitCode, Error } }: Container): Pick<InstanceStatus, "detail" | "ended"> {
  if (OOMKilled) return { detail: "killed: out of memory" };
  if (Error !== "") return { detail: `could not be started: ${Error}` };
  const ended = endedOf(ExitCode);
  return { detail: howEnded(ended), ended };
}

// The engine reports a signal only as 128 and its number.
function endedOf(code: number): Ended {
  const signal = signalNamed(code - 128);
  return signal === null ? { code } : { signal };
}

/** The ports of this machine that lead to a running container. */
export function publishedPorts(found: Container | null): { address: string; port: number; inside: number }[] {
  if (!found || !isRunning(found)) return [];
  return Object.entries(found.NetworkSettings.Ports ?? {}).flatMap(([key, bindings]) =>
    (bindings ?? []).map(({ HostIp, HostPort }) => ({
      address: HostIp,
      port: Number(HostPort),
      inside: Number.parseInt(key, 10),
    })),
  );
}
