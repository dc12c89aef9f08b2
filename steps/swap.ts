#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// The one commit point: current names the new release, and the front follows at once.
import { appOf } from "../lib/release/app.ts";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { App } from "../lib/contracts/app.ts";
import { DpError } from "../lib/errors.ts";
import { fact } from "../lib/pipeline/facts.ts";
import { idOf } from "../lib/text/ids.ts";
import { releaseBefore } from "../lib/release/history.ts";
import { serveAgain } from "../lib/release/instances.ts";
import { point, target } from "../lib/host/link.ts";
import { NO_PROBES, startProber } from "../lib/health/prober.ts";
import { stoppedIds } from "../lib/release/processes.ts";
import { prepareFront, targetOf } from "../lib/release/route.ts";
import { defineStep } from "../lib/pipeline/step.ts";

const folderOf = ({ places }: App, id: string | null) => id && join(places.releases, id);

const step = defineStep(import.meta.path, {
  summary: "Switch current and the front to the new release",
  needs: {
    app: fact.app,
    kind: fact.kind,
    server: fact.server,
    config: fact.config,
    release: fact.release,
    port: fact.port,
    pid: fact.pid,
    live: fact.live,
  },
  provides: { previous: fact.previous, switchTime: fact.switchTime, swapProbes: fact.swapProbes },
  async run({ kind, config, release, port, pid, live: old, ...given }, io) {
    const app = await appOf(given);
    const { name, places, server, manager, front } = app;
    const id = idOf(release)!;
    const status = await manager.status({ app: name, id });
    const { healthCheck } = config;
    if (healthCheck && status.pid !== pid) {
      const why = status.detail || status.state;
      throw new DpError("unhealthy", `the new instance was healthy but exited before the switch: ${why}`);
    }
    const next = port === null ? null : await targetOf(app, id, port);
    if (next !== null) await prepareFront(app, next, kind, io);
    // On a second run current is already this release; start has noted what was live before.
    const live = await target(places.current);
    const before = live === release ? folderOf(app, old) : live;
    const previous = before !== null && existsSync(before) ? before : null; // never a missing release
    const isServing = old !== null && server.strategy === "blue-green" && !(await stoppedIds(app)).has(old);
    const prober = healthCheck && isServing ? startProber(app, healthCheck) : null;
    try {
      // In this order: previous never names what is live, and is right whenever this ends in the wait for the front.
      await point(places.current, release);
      await point(places.previous, previous);
      const begun = performance.now();
      if (port !== null || (await front.status(name)) !== null) {
        await front.point(name, next, io);
        await front.resume(name, io);
      }
      const switchTime = Math.round((performance.now() - begun) * 10) / 10;
      if (front.holdsPort && port !== null) io.info(`switched in ${switchTime} ms`);
      return { previous, switchTime, swapProbes: (await prober?.stop()) ?? NO_PROBES };
    } finally {
      // A running prober would keep the process of a failed deploy from exiting.
      await prober?.stop();
    }
  },
  async undo({ release, live: old, ...given }, io) {
    const app = await appOf(given);
    const { name, places, server, front } = app;
    // Asks the host: if current is not this release, the rename never happened.
    const live = await target(places.current);
    const back = live === release ? folderOf(app, old) : live;
    await point(places.previous, folderOf(app, await releaseBefore(app, idOf(back))));
    await point(places.current, back);
    const id = idOf(back);
    if (id === null) await front.point(name, null, io);
    // With strategy "restart" the old instance has no port until the new one is gone: the undo of start handles that.
    else if (server.strategy === "blue-green") await serveAgain(app, id, io);
  },
});
export default step;
if (import.meta.main) void import("../lib/cli/step-program.ts").then(({ main }) => main(step));
