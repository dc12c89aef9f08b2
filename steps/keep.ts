#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Tells the other servers that the release stays. From here on nobody goes back, whatever happens to one of them.
import { fact } from "../lib/pipeline/facts.ts";
import { keepAll } from "../lib/servers/lead.ts";
import { defineStep } from "../lib/pipeline/step.ts";

const step = defineStep(import.meta.path, {
  summary: "Tell the other servers that the release stays",
  needs: { app: fact.app, id: fact.id, group: fact.group },
  provides: {},
  async run({ app, id, group }, io) {
    for (const [name, why] of group ? await keepAll(id, group) : [])
      io.warn(`${name} may have gone back: ${why}; dp fleet sync ${app} brings it in line`);
    return {};
  },
});
export default step;
if (import.meta.main) void import("../lib/cli/step-program.ts").then(({ main }) => main(step));
