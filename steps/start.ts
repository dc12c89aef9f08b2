#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Starts the new release: beside the old one, or with strategy "restart" in its place, while requests wait.
import { appOf } from "../lib/release/app.ts";
import { fact } from "../lib/pipeline/facts.ts";
import { takeInstancePort } from "../lib/release/instance.ts";
import { forget } from "../lib/release/forget.ts";
import { serveAgain, startCold, takePublicPort } from "../lib/release/instances.ts";
import { prepareStart } from "../lib/release/manager.ts";
import { takeSettings } from "../lib/release/settings.ts";
import { hasWeb, keepStopped, stoppedIds } from "../lib/release/processes.ts";
import { wantedOf } from "../lib/release/wanted.ts";
import { idOf, releaseOf } from "../lib/text/ids.ts";
import { defineStep } from "../lib/pipeline/step.ts";

const step = defineStep(import.meta.path, {
  summary: "Start the new release",
  needs: {
    app: fact.app,
    id: fact.id,
    sha: fact.sha,
    kind: fact.kind,
    envBefore: fact.envBefore,
    server: fact.server,
    config: fact.config,
    release: fact.release,
    runtime: fact.runtime,
  },
  provides: { live: fact.live, port: fact.port, isWarm: fact.isWarm, stoppedAt: fact.stoppedAt },
  async run({ kind, id: run, envBefore, ...given }, io) {
    const app = await appOf(given);
    const { name, manager } = app;
    const id = idOf(given.release)!;
    const facts = { ...given, app, run };
    // A deploy's is ready since clone.
    const readiness = hasWeb(facts.config) ? await prepareStart(app, facts.config.type, id) : "new";
    // A deploy has had its settings since clone.
    const isSame = kind !== "deploy" && (await takeSettings({ app, run, envBefore }, id));
    // On a second run, after the swap, current is already this release; previous then names what served before.
    const named = await app.live();
    const live = named === id ? await app.previous() : named;
    if (kind === "deploy")
      await (await import("../lib/release/sealing.ts")).shareWithLive(app, given.release, live, io);
    // The new release runs all its processes. Those of the old one that were stopped by hand are noted for the undo.
    await keepStopped(
      app,
      [...(await stoppedIds(app))].filter((one) => releaseOf(one) === live && live !== id),
    );
    if (!hasWeb(facts.config)) {
      io.info("no web process");
      return { live, port: null, isWarm: false, stoppedAt: null };
    }
    if (isSame && readiness === "started" && (await manager.status({ app: name, id })).state === "running") {
      await takePublicPort(app, io);
      const port = await takeInstancePort(facts); // check proves that the instance is there
      io.info(`${name}@${id} is still warm on port ${port}`);
      return { live, port, isWarm: true, stoppedAt: null };
    }
    const { port, stoppedAt } = await startCold(facts, { live, isPrepared: readiness === "prepared" }, io);
    io.info(`${name}@${id} on port ${port}`);
    return { live, port, isWarm: false, stoppedAt };
  },
  async undo({ release, ...given }, io) {
    const app = await appOf(given);
    const { name, server, manager, front } = app;
    const id = idOf(release)!;
    const live = await app.live();
    if (live === id) return; // this is a rollback to the live release, or a run that has swapped and stays
    if (live) await serveAgain(app, live, io);
    await front.drain(name, id, server.drainTimeout, io);
    await manager.stop({ app: name, id }, io);
    await forget(app, id, io);
    await manager.enable(name, await wantedOf(app, live), io);
  },
});
export default step;
if (import.meta.main) void import("../lib/cli/step-program.ts").then(({ main }) => main(step));
