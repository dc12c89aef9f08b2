#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Links the shared files into the release, before anything is built in it.
import { fact } from "../lib/pipeline/facts.ts";
import { appOf } from "../lib/release/app.ts";
import { appType } from "../lib/registry.ts";
import { builderOf } from "../lib/release/builder.ts";
import { linkShared } from "../lib/release/shared-files.ts";
import { noLongerShared } from "../lib/release/unshared.ts";
import { defineStep } from "../lib/pipeline/step.ts";
import { appFolder } from "../lib/host/release-folder.ts";

const step = defineStep(import.meta.path, {
  summary: "Link the shared folders and files",
  needs: { app: fact.app, server: fact.server, config: fact.config, release: fact.release },
  provides: {},
  // No undo: files that were moved into shared/ stay there, and the undo of clone removes the release.
  async run({ config, release, ...given }, io) {
    const { shared: names } = config;
    const app = await appOf(given);
    const lost = await noLongerShared(app, names);
    if (lost.length > 0)
      io.warn(
        `${lost.join(", ")}: shared in the live release and not in this one, which does not find what is kept there`,
      );
    if (names === undefined) {
      io.info("nothing is shared");
      return {};
    }
    const { places, server } = app;
    const place = {
      shared: places.shared,
      folder: appFolder(release, config),
      user: server.user,
      builder: await builderOf(app),
      timeout: server.stepTimeout,
      mounts: (await appType(config.type)).mountsShared === true,
    };
    const moved = await linkShared(place, names, io);
    const all = [...names.dirs, ...names.files];
    io.info(all.length === 0 ? "nothing is shared" : `shared: ${all.join(", ")}`);
    if (moved.length > 0) io.info(`moved from the commit into shared/, this once: ${moved.join(", ")}`);
    return {};
  },
});
export default step;
if (import.meta.main) void import("../lib/cli/step-program.ts").then(({ main }) => main(step));
