#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Asks through the public port, and watches for a while: a failure now undoes the deploy without a lost request.
import { appOf } from "../lib/release/app.ts";
import { DpError } from "../lib/errors.ts";
import { fact } from "../lib/pipeline/facts.ts";
import { publiclyHealthy } from "../lib/health/health.ts";
import { openAddress } from "../lib/health/open-address.ts";
import { idOf } from "../lib/text/ids.ts";
import { candidateOf } from "../lib/release/instances.ts";
import { watchRelease } from "../lib/health/proof.ts";
import { NO_PROBES, sumOf } from "../lib/health/prober.ts";
import { defineStep } from "../lib/pipeline/step.ts";

const step = defineStep(import.meta.path, {
  summary: "Watch the live release through the public port",
  needs: {
    app: fact.app,
    server: fact.server,
    config: fact.config,
    release: fact.release,
    port: fact.port,
    pid: fact.pid,
    downtime: fact.downtime,
    isWarm: fact.isWarm,
    swapProbes: fact.swapProbes,
  },
  provides: { verifyProbes: fact.verifyProbes },
  async run({ config, release, port, pid, downtime, isWarm, swapProbes, ...given }, io) {
    const { server } = given;
    const { healthCheck } = config;
    if (healthCheck === undefined || port === null || pid === null) return { verifyProbes: NO_PROBES };
    const app = await appOf(given);
    const candidate = candidateOf(app, idOf(release)!, healthCheck, port);
    await publiclyHealthy(candidate, server, app.front, io);
    // Worth a warning, and no reason to go back when nobody can tell.
    const open = app.front.holdsPort ? openAddress(candidate.name, app.manager, port, pid) : null;
    const where = await open?.catch(() => null);
    if (where) io.warn(`the app ${where}`);
    // A warm release was watched when it was first deployed.
    const time = isWarm ? 0 : server.verifyTime;
    const isWhole = server.maxFailed !== undefined;
    const { probes: verifyProbes, took } = await watchRelease(app, candidate, pid, { time, isWhole }, io);
    const { failed } = sumOf([swapProbes, verifyProbes]);
    if (server.maxFailed !== undefined && failed > server.maxFailed) {
      throw new DpError(
        "unhealthy",
        `${failed} of dp's own requests failed during the switch, but maxFailed is ${server.maxFailed}`,
      );
    }
    io.info(`healthy for ${(took / 1000).toFixed(1)} s`);
    if (downtime !== null) {
      const what = app.front.holdsPort ? "requests waited" : "down";
      io.info(`strategy restart: ${what} for ${(downtime / 1000).toFixed(1)} s`);
      if (app.front.holdsPort && downtime > server.holdTimeout)
        io.warn(`requests that waited longer than holdTimeout, ${server.holdTimeout / 1000} s, were answered 504`);
    }
    return { verifyProbes };
  },
});
export default step;
if (import.meta.main) void import("../lib/cli/step-program.ts").then(({ main }) => main(step));
