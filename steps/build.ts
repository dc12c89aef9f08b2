#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Runs the build line of deploy.yml in the release.
import { fact } from "../lib/facts.ts";
import { runLine } from "../lib/shell-line.ts";
import { defineStep, main } from "../lib/step.ts";

const step = defineStep(import.meta.path, {
  summary: "Run the build command",
  needs: {
    app: fact.app,
    sha: fact.sha,
    server: fact.server,
    config: fact.config,
    release: fact.release,
    runtime: fact.runtime,
  },
  provides: {},
  async run({ runtime, ...origin }, io) {
    const { config } = origin;
    if (config.build === undefined) io.info("nothing to build");
    else await runLine(config.build, origin, runtime, io);
    return {};
  },
});
export default step;
if (import.meta.main) await main(step);
