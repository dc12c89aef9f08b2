// What a deploy of one commit would do, read and checked without doing it.
import type { App } from "../contracts/app.ts";
import { makeIo, silentLog } from "../host/io.ts";
import { managerFor } from "../release/manager.ts";

/** A deploy of a commit: everything that is known before anything is changed. */
export interface Plan {
  app: string;
  sha: string;
  live: string | null;
  type: string;
  command: string;
  build: string | null;
  preDeploy: string | null;
  postDeploy: string | null;
  /** Null: there is no web process. */
  healthCheck: string | null;
  /** Process -> its shell line, without web. */
  processes: Record<string, string>;
  /** `NAME: SCHEDULE`. */
  cron: string[];
  manager: string;
  strategy: string;
  port: number;
}

/** Reads and checks a commit like the step "read"; throws what that throws. */
export async function planOf({ name, places, server, live }: App, sha: string): Promise<Plan> {
  const { base, repo } = places;
  const read = (await import("../../steps/read.ts")).default;
  const { config } = await read.run({ app: name, base, repo, sha, server, group: null }, makeIo(silentLog));
  return {
    app: name,
    sha,
    live: await live(),
    type: config.type,
    command: config.command ?? "known only after the dependencies are installed",
    build: config.build ?? null,
    preDeploy: config.hooks.preDeploy ?? null,
    postDeploy: config.hooks.postDeploy ?? null,
    healthCheck: config.healthCheck?.path ?? null,
    processes: Object.fromEntries(Object.entries(config.processes).map(([name, { command }]) => [name, command])),
    cron: config.cron.map(({ name, schedule }) => `${name}: ${schedule}`),
    manager: (await managerFor(config.type, server)).name,
    strategy: server.strategy,
    port: server.port,
  };
}

/** A plan as `name  value` lines. */
export function planLines(plan: Plan): string[] {
  const { processes, cron, ...rest } = plan;
  const others = Object.entries(processes).map(([name, command]) => [name, command] as const);
  const lines = [...Object.entries(rest), ...others, ...cron.map((entry) => ["cron", entry] as const)];
  return lines.map(([name, value]) => `${name.padEnd(12)} ${value ?? "none"}`);
}
