#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Changes the processes other than web, and cron, over to the new release: a worker finishes its job before the next
// starts.
import { appOf } from "../lib/release/app.ts";
import { setCron } from "../lib/cron/cron.ts";
import { fact } from "../lib/pipeline/facts.ts";
import { idOf, isWeb, processOf, releaseOf } from "../lib/text/ids.ts";
import { factsOfRelease } from "../lib/release/instance.ts";
import { wantedIds } from "../lib/release/processes.ts";
import { changeOver, otherInstances, startInstances, stopInstances } from "../lib/release/workers.ts";
import { defineStep } from "../lib/pipeline/step.ts";

const step = defineStep(import.meta.path, {
  summary: "Switch workers and cron to the new release",
  needs: {
    app: fact.app,
    id: fact.id,
    sha: fact.sha,
    server: fact.server,
    config: fact.config,
    release: fact.release,
    runtime: fact.runtime,
    live: fact.live,
  },
  provides: {},
  async run({ live: _live, id: run, ...given }, io) {
    const app = await appOf(given);
    const { config } = given;
    const ids = await changeOver({ ...given, app, run }, io);
    const changes = await setCron(app, config.cron, io);
    const what = [...ids.map(processOf), ...changes];
    io.info(what.length > 0 ? what.join(", ") : "none");
    return {};
  },
  async undo({ release, live, ...given }, io) {
    const app = await appOf(given);
    const id = idOf(release)!;
    if (live === id) return;
    const own = (await otherInstances(app)).filter((other) => releaseOf(other) === id);
    await stopInstances(app, own, io);
    const before = live === null ? null : await factsOfRelease(app, live);
    const wanted = before ? await wantedIds(app, live!, before.config) : [];
    if (before)
      await startInstances(
        before,
        wanted.filter((one) => !isWeb(one)),
        io,
      );
    await setCron(app, before?.config.cron ?? [], io);
  },
});
export default step;
if (import.meta.main) void import("../lib/cli/step-program.ts").then(({ main }) => main(step));
