#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Changes the processes besides web, and cron, over to the new release: a worker ends its job before the next starts.
import { setCron } from "../lib/cron/cron.ts";
import { fact } from "../lib/pipeline/facts.ts";
import { isWeb, processOf, releaseOf } from "../lib/paths.ts";
import { idOf } from "../lib/release/history.ts";
import { factsOfRelease } from "../lib/release/instance.ts";
import { managerOf } from "../lib/release/manager.ts";
import { wantedIds } from "../lib/release/processes.ts";
import { changeOver, otherInstances, startInstances, stopInstances } from "../lib/release/workers.ts";
import { defineStep } from "../lib/pipeline/step.ts";

const step = defineStep(import.meta.path, {
  summary: "Change workers and cron over to the new release",
  needs: {
    app: fact.app,
    id: fact.id,
    repo: fact.repo,
    sha: fact.sha,
    server: fact.server,
    config: fact.config,
    release: fact.release,
    runtime: fact.runtime,
    live: fact.live,
  },
  provides: {},
  async run({ live: _live, id: run, ...origin }, io) {
    const facts = { ...origin, run };
    const { app, server, config } = facts;
    const ids = await changeOver(facts, await managerOf(server), io);
    const changes = await setCron(app, config.cron, io);
    const what = [...ids.map(processOf), ...changes];
    io.info(what.length > 0 ? what.join(", ") : "none");
    return {};
  },
  async undo({ app, server, release, live }, io) {
    const managed = await managerOf(server);
    const id = idOf(release)!;
    if (live === id) return;
    const own = (await otherInstances(app, managed)).filter((other) => releaseOf(other) === id);
    await stopInstances(app, own, managed, io);
    const before = live === null ? null : await factsOfRelease(app, live, server);
    const wanted = before ? await wantedIds(app, live!, before.config, server) : [];
    if (before)
      await startInstances(
        before,
        wanted.filter((one) => !isWeb(one)),
        managed,
        io,
      );
    await setCron(app, before?.config.cron ?? [], io);
  },
});
export default step;
if (import.meta.main) void import("../lib/cli/step-program.ts").then(({ main }) => main(step));
