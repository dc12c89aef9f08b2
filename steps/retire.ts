#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Makes true what follows from current: the live instance alone runs, and alone comes up at boot.
import { fact } from "../lib/facts.ts";
import { idOf } from "../lib/history.ts";
import { reconcile } from "../lib/instances.ts";
import { manager } from "../lib/registry.ts";
import { defineStep, main } from "../lib/step.ts";

const step = defineStep(import.meta.path, {
  summary: "Retire the old instance",
  needs: { app: fact.app, server: fact.server, live: fact.live, release: fact.release },
  provides: {},
  async run({ app, server, live, release }, io) {
    for (const change of await reconcile(app, server, io)) io.info(change);
    if (live && live !== idOf(release)) await (await manager(server.manager)).forget({ app, id: live }, io);
    return {};
  },
});
export default step;
if (import.meta.main) await main(step);
