#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Installs what the app depends on, as its type does it.
import { appEnvironment } from "../lib/environment.ts";
import { fact } from "../lib/facts.ts";
import { appType } from "../lib/registry.ts";
import { defineStep, main } from "../lib/step.ts";
import { commitTree } from "../lib/tree.ts";

const step = defineStep(import.meta.path, {
  summary: "Install the app's dependencies",
  needs: {
    app: fact.app,
    base: fact.base,
    repo: fact.repo,
    sha: fact.sha,
    id: fact.id,
    server: fact.server,
    config: fact.config,
    release: fact.release,
  },
  provides: { runtime: fact.runtime },
  async run({ app, base, repo, sha, id, server, config, release }, io) {
    const type = await appType(config.type);
    const env = await appEnvironment({ app, server, sha, release });
    const tree = commitTree(repo, sha);
    const place = { app, id, base, release, config, tree, user: server.user, env, timeout: server.stepTimeout };
    return { runtime: await type.install(place, io) };
  },
});
export default step;
if (import.meta.main) await main(step);
