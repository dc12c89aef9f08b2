#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Lets the old instance finish its requests, stops it or keeps it warm, and cleans up what follows from current.
import { appOf } from "../lib/release/app.ts";
import { DpError, messageOf } from "../lib/errors.ts";
import { fact } from "../lib/pipeline/facts.ts";
import { idOf } from "../lib/text/ids.ts";
import { NO_PROBES, startProber, sumOf } from "../lib/health/prober.ts";
import { leaveOtherFronts } from "../lib/release/instances.ts";
import { reconcile } from "../lib/release/reconcile.ts";
import { defineStep } from "../lib/pipeline/step.ts";
import { coolDown, keepWarm } from "../lib/release/warm.ts";

const step = defineStep(import.meta.path, {
  summary: "Drain and stop the old instance",
  needs: {
    app: fact.app,
    server: fact.server,
    config: fact.config,
    release: fact.release,
    live: fact.live,
    group: fact.group,
    swapProbes: fact.swapProbes,
    verifyProbes: fact.verifyProbes,
  },
  provides: { drainProbes: fact.drainProbes },
  async run({ config, release, live, group, swapProbes, verifyProbes, ...given }, io) {
    const app = await appOf(given);
    const { name, server, front } = app;
    const id = idOf(release)!;
    const old = live === id ? null : live;
    const prober = config.healthCheck ? startProber(app, config.healthCheck) : null;
    try {
      if (old) {
        const left = await front.drain(name, old, server.drainTimeout, io);
        if (left.requests > 0)
          io.warn(`${left.requests} requests took longer than ${server.drainTimeout} ms and were cut`);
        if (left.tunnelsClosed > 0) io.info(`closed ${left.tunnelsClosed} upgraded connections`);
      }
    } finally {
      await prober?.stop();
    }
    const drainProbes = prober?.seen() ?? NO_PROBES;
    const { failed } = sumOf([swapProbes, verifyProbes, drainProbes]);
    // The old instance still runs, so going back costs nothing.
    if (server.maxFailed !== undefined && failed > server.maxFailed) {
      const what = `${failed} of dp's own requests failed, but maxFailed is ${server.maxFailed}`;
      // All servers have agreed on the release by now: this one does not leave them alone.
      if (group === null) throw new DpError("unhealthy", what);
      io.warn(`${what}; the release stays, as on the other servers`);
    }
    // Most often start had no need for it, and a rollback has no time for it.
    await leaveOtherFronts(app, io).catch((error: unknown) => {
      // The release serves: it does not go back because of a front that has no part in that.
      if (io.signal.aborted) throw error;
      io.warn(`another front may still know ${name}: ${messageOf(error)}`);
    });
    await coolDown(app, id);
    if (old && server.keepWarm > 0 && server.strategy === "blue-green") {
      await keepWarm(app, old, server.keepWarm);
      io.info(`${name}@${old} stays warm for ${server.keepWarm / 1000} s`);
    }
    for (const change of await reconcile(app, io)) io.info(change);
    return { drainProbes };
  },
});
export default step;
if (import.meta.main) void import("../lib/cli/step-program.ts").then(({ main }) => main(step));
