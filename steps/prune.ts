#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Removes releases that are no longer needed; a failure here never harms the deploy.
import { appOf } from "../lib/release/app.ts";
import { fact } from "../lib/pipeline/facts.ts";
import { messageOf } from "../lib/errors.ts";
import { prune, releasesOnDisk } from "../lib/release/prune.ts";
import { defineStep } from "../lib/pipeline/step.ts";

const step = defineStep(import.meta.path, {
  summary: "Remove old releases",
  needs: { app: fact.app, server: fact.server },
  provides: {},
  async run(given, io) {
    const app = await appOf(given);
    try {
      const gone = await prune(app, io);
      const { ids, foreign } = await releasesOnDisk(app);
      io.info(`${ids.length} kept${gone.length > 0 ? `, removed ${gone.join(", ")}` : ""}`);
      for (const name of foreign) io.warn(`releases/${name} is not from dp and was left alone`);
    } catch (error) {
      io.warn(`old releases could not be removed: ${messageOf(error)}`);
    }
    return {};
  },
});
export default step;
if (import.meta.main) void import("../lib/cli/step-program.ts").then(({ main }) => main(step));
