#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Asks once more, now that the release is live: a crash right after the first healthy answer goes back.
import { basename } from "node:path";
import { fact } from "../lib/facts.ts";
import { stillHealthy } from "../lib/health.ts";
import { patientOf } from "../lib/instances.ts";
import { manager } from "../lib/registry.ts";
import { defineStep, main } from "../lib/step.ts";

const step = defineStep(import.meta.path, {
  summary: "Ask the live release once more",
  needs: {
    app: fact.app,
    server: fact.server,
    config: fact.config,
    release: fact.release,
    port: fact.port,
    pid: fact.pid,
    downtime: fact.downtime,
  },
  provides: {},
  async run({ app, server, config, release, port, pid, downtime }, io) {
    const managed = await manager(server.manager);
    await stillHealthy(patientOf(app, basename(release), config.healthCheck, port, managed), pid, io);
    io.info("still healthy");
    if (downtime !== null) io.info(`strategy restart: down for ${(downtime / 1000).toFixed(1)} s`);
    return {};
  },
});
export default step;
if (import.meta.main) await main(step);
