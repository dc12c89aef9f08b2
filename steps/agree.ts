#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Waits until the new release is healthy on all servers: only then any of them switches.
import { fact } from "../lib/pipeline/facts.ts";
import { namedApp } from "../lib/release/named-app.ts";
import { allAre, tellAll } from "../lib/servers/lead.ts";
import { awaitWord } from "../lib/servers/word.ts";
import { defineStep } from "../lib/pipeline/step.ts";

const step = defineStep(import.meta.path, {
  summary: "Wait until all servers are ready to switch",
  needs: { app: fact.app, id: fact.id, group: fact.group },
  provides: {},
  async run({ app, id, group }, io) {
    if (group?.as === "peer") await awaitWord(namedApp(app), { id, word: "swap", lead: group.lead }, io);
    else if (group) {
      for (const { name, took } of await allAre("ready", app, id, io))
        io.output(`${name.padEnd(8)} ready in ${(took / 1000).toFixed(1)} s`);
      tellAll(id, "swap");
    }
    return {};
  },
  // They go back together, not one after the other.
  async undo({ id, group }) {
    if (group?.as === "lead") tellAll(id, "back");
  },
});
export default step;
if (import.meta.main) void import("../lib/cli/step-program.ts").then(({ main }) => main(step));
