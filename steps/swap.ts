#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// The one commit point: current names the new release, and the front follows at once.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { DpError } from "../lib/errors.ts";
import { fact } from "../lib/facts.ts";
import { idOf, releaseBefore } from "../lib/release/history.ts";
import { serveAgain } from "../lib/release/instances.ts";
import { point, target } from "../lib/link.ts";
import { NO_PROBES, startProber } from "../lib/health/prober.ts";
import { managerOf } from "../lib/release/manager.ts";
import { front } from "../lib/registry.ts";
import { defineStep, main } from "../lib/step.ts";

const step = defineStep(import.meta.path, {
  summary: "Point current, and the front, at the new release",
  needs: {
    app: fact.app,
    base: fact.base,
    server: fact.server,
    config: fact.config,
    release: fact.release,
    port: fact.port,
    pid: fact.pid,
    live: fact.live,
  },
  provides: { previous: fact.previous, switchTime: fact.switchTime, swapProbes: fact.swapProbes },
  async run({ app, base, server, config, release, port, pid, live: old }, io) {
    const id = idOf(release)!;
    const status = await (await managerOf(server)).status({ app, id });
    const { healthCheck } = config;
    if (healthCheck && status.pid !== pid) {
      const why = status.detail || status.state;
      throw new DpError("unhealthy", `the new instance was healthy, and ended before the switch: ${why}`);
    }
    const live = await target(join(base, "current"));
    // On a second run current is already ours, so the answer is the one already written.
    const before = live === release ? await target(join(base, "previous")) : live;
    const previous = before !== null && existsSync(before) ? before : null; // never to what is gone
    const prober = healthCheck && old && server.strategy === "blue-green" ? startProber(healthCheck, server) : null;
    await point(join(base, "previous"), previous);
    await point(join(base, "current"), release);
    const begun = performance.now();
    const holder = await front(server.front);
    if (port !== null || (await holder.status(app)) !== null) {
      await holder.point(app, port === null ? null : { id, port }, io);
      await holder.resume(app, io);
    }
    const switchTime = Math.round((performance.now() - begun) * 10) / 10;
    if (holder.holdsPort && port !== null) io.info(`switched in ${switchTime} ms`);
    const swapProbes = (await prober?.stop()) ?? NO_PROBES;
    return { previous, switchTime, swapProbes };
  },
  async undo({ app, base, release, server }, io) {
    // Asks the host: when current is not ours, the rename never came, but previous may have been moved.
    const live = await target(join(base, "current"));
    const back = live === release ? await target(join(base, "previous")) : live;
    await point(join(base, "current"), back);
    const before = await releaseBefore(app, idOf(back));
    await point(join(base, "previous"), before && join(base, "releases", before));
    const id = idOf(back);
    if (id === null) await (await front(server.front)).point(app, null, io);
    // By strategy restart the old instance has no port before the new one is gone: that is start's to undo.
    else if (server.strategy === "blue-green") await serveAgain(app, id, server, io);
  },
});
export default step;
if (import.meta.main) await main(step);
