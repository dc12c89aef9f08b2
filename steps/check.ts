#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Proves that the new instance is healthy, and that it is the one that answered.
import { appOf } from "../lib/release/app.ts";
import { basename } from "node:path";
import { fact } from "../lib/pipeline/facts.ts";
import { waitUntilHealthy } from "../lib/health/health.ts";
import { candidateOf } from "../lib/release/instances.ts";
import { defineStep } from "../lib/pipeline/step.ts";

const step = defineStep(import.meta.path, {
  summary: "Check that the new release is healthy",
  needs: {
    app: fact.app,
    server: fact.server,
    config: fact.config,
    release: fact.release,
    port: fact.port,
    stoppedAt: fact.stoppedAt,
  },
  provides: { pid: fact.pid, healthyAt: fact.healthyAt, downtime: fact.downtime },
  async run({ app, server, config, release, port, stoppedAt }, io) {
    const { healthCheck } = config;
    if (healthCheck === undefined || port === null) {
      io.info("no web process; the others are checked when they start");
      return { pid: null, healthyAt: new Date().toISOString(), downtime: null };
    }
    const opened = await appOf({ app, server });
    const candidate = candidateOf(opened, basename(release), healthCheck, port);
    const { pid, tries } = await waitUntilHealthy(candidate, io);
    const now = new Date();
    const downtime = stoppedAt === null ? null : Math.max(0, now.getTime() - Date.parse(stoppedAt));
    io.info(`GET ${healthCheck.path} is healthy, ${tries === 1 ? "at once" : `after ${tries} tries`}`);
    return { pid, healthyAt: now.toISOString(), downtime };
  },
});
export default step;
if (import.meta.main) void import("../lib/cli/step-program.ts").then(({ main }) => main(step));
