#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Installs the app's dependencies, as its type does it.
import { appOf } from "../lib/release/app.ts";
import { appEnvironment } from "../lib/release/environment.ts";
import { fact, type Built } from "../lib/pipeline/facts.ts";
import type { Runtime } from "../lib/contracts/app-type.ts";
import type { Io } from "../lib/host/io.ts";
import { takeInstancePort } from "../lib/release/instance.ts";
import { prepareStart, unprepareStart } from "../lib/release/manager.ts";
import { buildPlaceOf, type PlaceFacts } from "../lib/release/place.ts";
import { hasWeb } from "../lib/release/processes.ts";
import { appType } from "../lib/registry.ts";
import { builderOf } from "../lib/release/builder.ts";
import { defineStep } from "../lib/pipeline/step.ts";

interface Installing extends PlaceFacts {
  id: string;
  adopted: { runtime: Runtime | null } | null;
  built: Built | null;
}

/** What the start needs, made ready while the installer's programs run. */
async function readyToStart({ app, config, id, release }: Installing): Promise<void> {
  await prepareStart(app, config.type, id);
  await takeInstancePort({ app, release });
}

async function install({ id, adopted, built, ...facts }: Installing, io: Io): Promise<Runtime> {
  const { app, config } = facts;
  const type = await appType(config.type);
  if (adopted?.runtime) {
    io.info("installed already, where the release was proved");
    return adopted.runtime;
  }
  if (built === null) return type.install(await buildPlaceOf(facts, await appEnvironment(facts), io), io);
  const { dependenciesIn, placeDependencies } = await import("../lib/servers/built.ts");
  const folder = dependenciesIn(built.runtime, type.store?.(app.places.base));
  const owners = { user: await builderOf(app), reader: app.server.user, timeout: app.server.stepTimeout };
  if (folder !== null) await placeDependencies(app, { id, folder, notes: built.notes }, owners, io);
  return built.runtime;
}

const step = defineStep(import.meta.path, {
  summary: "Install the app's dependencies",
  needs: {
    app: fact.app,
    id: fact.id,
    sha: fact.sha,
    server: fact.server,
    config: fact.config,
    release: fact.release,
    adopted: fact.adopted,
    built: fact.built,
  },
  provides: { runtime: fact.runtime },
  async run(given, io) {
    const facts = { ...given, app: await appOf(given) };
    const ready = hasWeb(given.config) ? readyToStart(facts) : null;
    const [installed, prepared] = await Promise.allSettled([install(facts, io), ready]);
    if (installed.status === "rejected") throw installed.reason;
    if (prepared.status === "rejected") throw prepared.reason;
    return { runtime: installed.value };
  },
  async undo({ id, config, ...given }, io) {
    await unprepareStart(await appOf(given), config.type, id, io);
  },
});
export default step;
if (import.meta.main) void import("../lib/cli/step-program.ts").then(({ main }) => main(step));
