#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Installs the app's dependencies, as its type does it.
import { appOf } from "../lib/release/app.ts";
import { appEnvironment } from "../lib/release/environment.ts";
import { fact } from "../lib/pipeline/facts.ts";
import { prepareStart, unprepareStart } from "../lib/release/manager.ts";
import { buildPlaceOf } from "../lib/release/place.ts";
import { hasWeb } from "../lib/release/processes.ts";
import { appType } from "../lib/registry.ts";
import { builderOf } from "../lib/release/builder.ts";
import { defineStep } from "../lib/pipeline/step.ts";

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
  async run({ id, adopted, built, ...given }, io) {
    const facts = { ...given, app: await appOf(given) };
    const { app, config } = facts;
    const type = await appType(config.type);
    if (hasWeb(config)) await prepareStart(app, config.type, id);
    if (adopted?.runtime) {
      io.info("installed already, where the release was proved");
      return { runtime: adopted.runtime };
    }
    if (built !== null) {
      const { dependenciesIn, placeDependencies } = await import("../lib/servers/built.ts");
      const folder = dependenciesIn(built.runtime, type.store?.(app.places.base));
      const owners = { user: await builderOf(app), reader: app.server.user, timeout: app.server.stepTimeout };
      if (folder !== null) await placeDependencies(app, { id, folder, notes: built.notes }, owners, io);
      return { runtime: built.runtime };
    }
    return { runtime: await type.install(await buildPlaceOf(facts, await appEnvironment(facts), io), io) };
  },
  async undo({ id, config, ...given }, io) {
    await unprepareStart(await appOf(given), config.type, id, io);
  },
});
export default step;
if (import.meta.main) void import("../lib/cli/step-program.ts").then(({ main }) => main(step));
