#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Starts the new release: beside the old one, or by strategy "restart" in its place, while requests wait.
import { fact } from "../lib/pipeline/facts.ts";
import { idOf, liveId, previousId } from "../lib/release/history.ts";
import { instanceOf, takeInstancePort } from "../lib/release/instance.ts";
import { forget, requireFreePort, makeRoom, serveAgain, takePublicPort, usablePort } from "../lib/release/instances.ts";
import { managerOf } from "../lib/release/manager.ts";
import { takeSettings } from "../lib/release/settings.ts";
import { hasWeb, keepStopped, stoppedIds } from "../lib/release/processes.ts";
import { wantedOf } from "../lib/release/wanted.ts";
import { front } from "../lib/registry.ts";
import { releaseOf } from "../lib/paths.ts";
import { defineStep } from "../lib/pipeline/step.ts";

const step = defineStep(import.meta.path, {
  summary: "Start the new release",
  needs: {
    app: fact.app,
    id: fact.id,
    repo: fact.repo,
    sha: fact.sha,
    kind: fact.kind,
    envBefore: fact.envBefore,
    server: fact.server,
    config: fact.config,
    release: fact.release,
    runtime: fact.runtime,
  },
  provides: { live: fact.live, port: fact.port, isWarm: fact.isWarm, stoppedAt: fact.stoppedAt },
  async run({ kind, id: run, envBefore, ...origin }, io) {
    const { app, server, release } = origin;
    const id = idOf(release)!;
    const facts = { ...origin, run };
    // A deploy has its settings from the beginning.
    const isSame = kind !== "deploy" && (await takeSettings({ app, run, server, envBefore }, id));
    const managed = await managerOf(server);
    // On a second run, after the swap, current is already ours: then previous is what served before.
    const named = await liveId(app);
    const live = named === id ? await previousId(app) : named;
    // The new release runs as a whole; of the old one it is noted what does not, for the way back.
    await keepStopped(
      app,
      [...(await stoppedIds(app))].filter((one) => releaseOf(one) === live && live !== id),
    );
    if (!hasWeb(facts.config)) {
      io.info("no web process");
      return { live, port: null, isWarm: false, stoppedAt: null };
    }
    await takePublicPort(app, server, managed, io);
    if (isSame && (await managed.status({ app, id })).state === "running") {
      const port = await takeInstancePort(facts); // its own already; check proves that it is there
      io.info(`${app}@${id} is still warm on port ${port}`);
      return { live, port, isWarm: true, stoppedAt: null };
    }
    const port = await usablePort(facts, managed);
    const instance = await instanceOf(facts, port);
    const stoppedAt = server.strategy === "restart" ? await makeRoom(app, id, live, server, io) : null;
    await managed.stop(instance, io);
    await requireFreePort(app, port, managed);
    await managed.start(instance, io);
    io.info(`${app}@${id} on port ${port}`);
    return { live, port, isWarm: false, stoppedAt };
  },
  async undo({ app, server, release }, io) {
    const managed = await managerOf(server);
    const id = idOf(release)!;
    const live = await liveId(app);
    if (live === id) return; // a rollback to what is live already, or a run that had swapped and stays
    if (live) await serveAgain(app, live, server, io);
    await (await front(server.front)).drain(app, id, server.drainTimeout, io);
    await managed.stop({ app, id }, io);
    await forget({ app, id }, managed, io);
    await managed.enable(app, await wantedOf(app, live, server, managed), io);
  },
});
export default step;
if (import.meta.main) void import("../lib/cli/step-program.ts").then(({ main }) => main(step));
