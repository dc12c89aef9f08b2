#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// The one commit point: current names the new release.
import { join } from "node:path";
import { DpError } from "../lib/errors.ts";
import { fact } from "../lib/facts.ts";
import { idOf, releaseBefore } from "../lib/history.ts";
import { point, target } from "../lib/link.ts";
import { manager } from "../lib/registry.ts";
import { defineStep, main } from "../lib/step.ts";

const step = defineStep(import.meta.path, {
  summary: "Point current at the new release",
  needs: { app: fact.app, base: fact.base, server: fact.server, release: fact.release, pid: fact.pid },
  provides: { previous: fact.previous },
  async run({ app, base, server, release, pid }) {
    const status = await (await manager(server.manager)).status({ app, id: idOf(release)! });
    if (status.pid !== pid)
      throw new DpError(
        "unhealthy",
        `the new instance was healthy, and ended before the switch: ${status.detail || status.state}`,
      );
    const live = await target(join(base, "current"));
    // On a second run current is already ours, so the answer is the one already written.
    const previous = live === release ? await target(join(base, "previous")) : live;
    await point(join(base, "previous"), previous);
    await point(join(base, "current"), release);
    return { previous };
  },
  async undo({ app, base, release }) {
    // Asks the host: when current is not ours, the rename never came, but previous may have been moved.
    const live = await target(join(base, "current"));
    const back = live === release ? await target(join(base, "previous")) : live;
    await point(join(base, "current"), back);
    const before = await releaseBefore(app, idOf(back));
    await point(join(base, "previous"), before && join(base, "releases", before));
  },
});
export default step;
if (import.meta.main) await main(step);
