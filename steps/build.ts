#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Builds the release, with the build line of deploy.yml or as its type builds.
import { existsSync } from "node:fs";
import { lstat } from "node:fs/promises";
import { appOf } from "../lib/release/app.ts";
import { appEnvironment } from "../lib/release/environment.ts";
import { fact } from "../lib/pipeline/facts.ts";
import { roomOf } from "../lib/host/disk.ts";
import { buildPlaceOf } from "../lib/release/place.ts";
import { appType } from "../lib/registry.ts";
import { runLine } from "../lib/release/shell-line.ts";
import { defineStep } from "../lib/pipeline/step.ts";

// Reused dependencies of an earlier release need no new space.
async function isNew(path: string, startedAt: string): Promise<boolean> {
  return (await lstat(path)).mtimeMs >= Date.parse(startedAt);
}

const step = defineStep(import.meta.path, {
  summary: "Build the release",
  needs: {
    app: fact.app,
    sha: fact.sha,
    startedAt: fact.startedAt,
    server: fact.server,
    config: fact.config,
    release: fact.release,
    runtime: fact.runtime,
    adopted: fact.adopted,
    built: fact.built,
  },
  provides: { taken: fact.taken },
  async run({ startedAt, adopted, built, ...given }, io) {
    const facts = { ...given, app: await appOf(given) };
    const { config, release, runtime } = facts;
    const { stepTimeout } = given.server;
    const type = await appType(config.type);
    const place = await buildPlaceOf(facts, await appEnvironment(facts, runtime), io);
    const comesBuilt = adopted !== null || built !== null;
    const isBuilt = !comesBuilt && (type.build !== undefined || config.build !== undefined);
    if (adopted !== null) io.info("built already, where the release was proved");
    else if (built !== null) io.info("built already, on the server that leads");
    else if (type.build) await type.build(place, io);
    else if (config.build !== undefined) await runLine(config.build, place, io);
    else io.info("nothing to build");
    await type.inspect?.(place, runtime);
    if (isBuilt) await io.run(["sync", "-f", release], { quiet: true, timeout: stepTimeout });
    const { dependencies } = runtime;
    const own =
      dependencies !== null && existsSync(dependencies) && (await isNew(dependencies, startedAt)) ? [dependencies] : [];
    const room = await roomOf([release, ...own], stepTimeout, io);
    const elsewhere = (await type.builtElsewhere?.(place, Date.parse(startedAt), io)) ?? 0;
    return { taken: room && { ...room, bytes: room.bytes + elsewhere } };
  },
});
export default step;
if (import.meta.main) void import("../lib/cli/step-program.ts").then(({ main }) => main(step));
