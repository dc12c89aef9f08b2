// Releases made by hand: what the steps from "start" on find, without the seconds of a whole deploy.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create, load, save, type RunResult } from "../../lib/pipeline/run-file.ts";
import { runFile } from "../../lib/release/history.ts";
import { instanceOf, type InstanceFacts } from "../../lib/release/instance.ts";
import { point } from "../../lib/host/link.ts";
import builtin from "../../lib/managers/builtin.ts";
import { io, noRuntime, SERVER, someConfig, type App } from "./core-server.ts";
import type { DeployConfig } from "../../lib/config/types.ts";

/** What `makeRelease` may be told. */
export interface ReleaseOptions {
  config?: Partial<DeployConfig>;
  /** server.ts of the release. */
  source?: string;
  state?: RunResult["state"];
  kind?: "deploy" | "rollback";
}

/** A release with its tree and its context, ready for "start"; with `state`, one of the past. */
export async function makeRelease(app: App, number: number, options: ReleaseOptions = {}) {
  const id = `${number}-aaaaaaa`;
  const release = join(app.releases, id);
  const context = runFile(app.own, id);
  mkdirSync(release, { recursive: true });
  writeFileSync(join(release, "server.ts"), options.source ?? SERVER);
  const { app: name, base, repo, server } = app;
  const known = { app: name, base, repo, id, sha: "a".repeat(40), server, release, runtime: noRuntime };
  const begun = {
    kind: options.kind ?? "deploy",
    subject: `Change ${number}`,
    by: "somebody",
    skipHooks: false,
    envBefore: null,
  };
  const startedAt = new Date(Date.UTC(2026, 2, 1, 12, number)).toISOString();
  await create(context, { ...known, ...begun, startedAt, config: someConfig(name, options.config) });
  if (options.state) await setResult(context, options.state);
  return { id, release, context };
}

/** Writes a result into a run file, as at the end of a run. */
export async function setResult(context: string, state: RunResult["state"]): Promise<void> {
  const run = await load(context);
  run.result = { state, code: state === "good" ? 0 : 7, endedAt: "2026-03-01T13:00:00Z" };
  await save(context, run);
}

/** A release that serves: started, and named by current. */
export async function makeLive(app: App, number: number, options: ReleaseOptions = {}) {
  const made = await makeRelease(app, number, { state: "good", ...options });
  const { facts } = await load(made.context);
  const own = { ...app.own, server: app.server };
  const known = { ...facts, app: own } as unknown as InstanceFacts;
  await builtin.start(await instanceOf(known, app.port), io);
  await builtin.enable(app.app, [made.id], io);
  await point(app.current, made.release);
  return made;
}
