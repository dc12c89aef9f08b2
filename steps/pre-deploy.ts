#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Runs the preDeploy hook, and closes the release; a failure ends the deploy before anything was started or stopped.
import { appOf } from "../lib/release/app.ts";
import { fact } from "../lib/pipeline/facts.ts";
import { commitTree } from "../lib/git/tree.ts";
import { strayData } from "../lib/release/stray-data.ts";
import { sealRelease } from "../lib/release/sealing.ts";
import { runHook } from "../lib/release/shell-line.ts";
import { defineStep } from "../lib/pipeline/step.ts";

const step = defineStep(import.meta.path, {
  summary: "Run the preDeploy hook",
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
    const line = facts.config.hooks.preDeploy;
    if (line === undefined) io.info("no hook");
    else if (skipHooks) io.info("skipped, as asked");
    else {
      await runHook(line, facts, runtime, io, { unfinished: true });
      // Its files must be on the disk before anything names the release.
      await io.run(["sync", "-f", facts.release], { quiet: true, timeout: given.server.stepTimeout });
    }
    await sealRelease(facts.app, facts.release, io);
    const tree = commitTree(facts.app.places.repo, facts.sha, io.signal);
    for (const what of await strayData(facts.release, tree, given.server.user)) io.warn(what);
    return {};
  },
});
export default step;
if (import.meta.main) void import("../lib/cli/step-program.ts").then(({ main }) => main(step));
