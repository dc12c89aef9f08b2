#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Lays the files out in releases/ID, owned by the build user: those of the commit, or those that a promoted release was
// built as.
import { join } from "node:path";
import { hasRoom } from "../lib/host/ballast.ts";
import { removeTree } from "../lib/host/remove.ts";
import { fact } from "../lib/pipeline/facts.ts";
import { promotedFrom } from "../lib/pipeline/promoted.ts";
import { defineStep } from "../lib/pipeline/step.ts";
import { appOf } from "../lib/release/app.ts";
import { readyBuilder } from "../lib/release/builder.ts";
import { emptyRelease, layOut } from "../lib/release/lay-out.ts";
import { prepareLong, unprepareStart } from "../lib/release/manager.ts";
import { hasWeb } from "../lib/release/processes.ts";
import { removeFailed } from "../lib/release/prune.ts";
import { keepSettings } from "../lib/release/settings.ts";

const step = defineStep(import.meta.path, {
  summary: "Write the files of the commit as a release",
  needs: {
    app: fact.app,
    sha: fact.sha,
    id: fact.id,
    server: fact.server,
    config: fact.config,
    promotes: fact.promotes,
    built: fact.built,
  },
  provides: { release: fact.release, adopted: fact.adopted },
  async run({ sha, id, config, promotes, built, ...given }, io) {
    const app = await appOf(given);
    const { stepTimeout: timeout } = app.server;
    // Settings are kept once: whatever happens to the env file meanwhile, build, hooks and app get the same.
    const kept = keepSettings(app, id);
    kept.catch(() => undefined);
    const release = join(app.places.releases, id);
    const laying = { app, sha, release, user: await readyBuilder(app, io) };
    await emptyRelease(laying, io);
    await kept;
    if (built !== null) {
      await (await import("../lib/servers/built.ts")).unpackPart(app, id, "release", laying, io);
      await io.run(["sync", "-f", release], { timeout });
      io.info("as it was built on the server that leads");
      return { release, adopted: null };
    }
    if (promotes !== null) {
      const { adopt } = await import("../lib/release/artefact.ts");
      const adopted = await adopt(laying, promotes, io);
      await io.run(["sync", "-f", release], { timeout });
      const from = promotedFrom(promotes);
      if (typeof adopted !== "string") {
        io.info(`the files that ${from} was proved with`);
        return { release, adopted };
      }
      io.info(`built anew, not as ${from} was: ${adopted}`);
      await emptyRelease(laying, io);
    }
    if (hasWeb(config)) await prepareLong(app, config.type, id);
    await layOut(laying, io);
    return { release, adopted: null };
  },
  // The newest failed release stays, as evidence. Earlier failed ones go, and so does this one if it filled the disk.
  async undo({ id, config, promotes, ...given }, io) {
    const app = await appOf(given);
    await unprepareStart(app, config.type, id, io);
    if (promotes !== null) await (await import("../lib/release/artefact.ts")).dropFiles(app, promotes);
    await removeFailed(app, id, io);
    if (!(await hasRoom())) await removeTree(join(app.places.releases, id), app.server.user, io);
  },
});
export default step;
if (import.meta.main) void import("../lib/cli/step-program.ts").then(({ main }) => main(step));
