#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Starts the new release; by strategy "restart" the old instance leaves the port first.
import { fact } from "../lib/facts.ts";
import { requireFreePort, startAgain, stopOthers } from "../lib/instances.ts";
import { idOf, liveId, previousId } from "../lib/history.ts";
import { instanceOf } from "../lib/instance.ts";
import { manager } from "../lib/registry.ts";
import { defineStep, main } from "../lib/step.ts";

const step = defineStep(import.meta.path, {
  summary: "Start the new release",
  needs: {
    app: fact.app,
    repo: fact.repo,
    sha: fact.sha,
    server: fact.server,
    config: fact.config,
    release: fact.release,
    runtime: fact.runtime,
  },
  provides: { live: fact.live, port: fact.port, stoppedAt: fact.stoppedAt },
  async run(facts, io) {
    const { app, server, release } = facts;
    const instance = await instanceOf(facts);
    const managed = await manager(server.manager);
    // On a second run, after the swap, current is already ours: then previous is what served before.
    const named = await liveId(app);
    const live = named === idOf(release) ? await previousId(app) : named;
    await requireFreePort(app, server.port, managed);
    const stoppedAt = (await stopOthers(app, instance.id, managed, io)) && live ? new Date().toISOString() : null;
    await managed.stop(instance, io);
    await requireFreePort(app, server.port, managed);
    await managed.start(instance, io);
    io.info(`${app}@${instance.id} on port ${server.port}`);
    return { live, port: server.port, stoppedAt };
  },
  async undo({ app, server, release }, io) {
    const managed = await manager(server.manager);
    const id = idOf(release)!;
    const live = await liveId(app);
    if (live === id) return; // a rollback to what is live already, or a run that had swapped and stays
    await managed.stop({ app, id }, io);
    await managed.forget({ app, id }, io);
    if (live) await startAgain(app, live, server, managed, io);
    await managed.enable(app, live, io);
  },
});
export default step;
if (import.meta.main) await main(step);
