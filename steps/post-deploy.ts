#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Runs the postDeploy hook; the release is live, so its failure is a warning.
import { appOf } from "../lib/release/app.ts";
import { DpError } from "../lib/errors.ts";
import { fact } from "../lib/pipeline/facts.ts";
import { runHook } from "../lib/release/shell-line.ts";
import { defineStep } from "../lib/pipeline/step.ts";

const step = defineStep(import.meta.path, {
  summary: "Run the postDeploy hook",
  needs: {
    app: fact.app,
    sha: fact.sha,
    server: fact.server,
    config: fact.config,
    release: fact.release,
    runtime: fact.runtime,
    skipHooks: fact.skipHooks,
  },
  provides: {},
  async run({ runtime, skipHooks, ...given }, io) {
    const facts = { ...given, app: await appOf(given) };
    const line = facts.config.hooks.postDeploy;
    try {
      if (line === undefined) io.info("no hook");
      else if (skipHooks) io.info("skipped, as asked");
      else await runHook(line, facts, runtime, io, { unfinished: false });
    } catch (error) {
      if (!(error instanceof DpError)) throw error;
      io.warn(`postDeploy failed, but the release is live: ${error.message}`);
    }
    return {};
  },
});
export default step;
if (import.meta.main) void import("../lib/cli/step-program.ts").then(({ main }) => main(step));
