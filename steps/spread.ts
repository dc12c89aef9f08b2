#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Hands the run to the other servers: the commit, what was built, then the order. Each begins a run of its own with the same ID.
import { fact } from "../lib/pipeline/facts.ts";
import { appOf } from "../lib/release/app.ts";
import { appType } from "../lib/registry.ts";
import { linesOf } from "../lib/servers/line.ts";
import { callBack, handOut } from "../lib/servers/lead.ts";
import { defineStep } from "../lib/pipeline/step.ts";

const step = defineStep(import.meta.path, {
  summary: "Hand the run to the other servers",
  needs: {
    app: fact.app,
    id: fact.id,
    kind: fact.kind,
    sha: fact.sha,
    subject: fact.subject,
    by: fact.by,
    server: fact.server,
    config: fact.config,
    release: fact.release,
    runtime: fact.runtime,
    group: fact.group,
  },
  provides: {},
  async run({ app, server, group, config, ...given }, io) {
    if (group === null) return {};
    const type = await appType(config.type);
    const lines = await handOut(await appOf({ app, server }), { ...given, group, type }, io);
    io.info(lines.map(({ name }) => name).join(", "));
    if (group.without.length > 0)
      io.warn(`${group.without.join(" and ")} left out: dp fleet sync ${app} brings them in line later`);
    return {};
  },
  // What the others have is theirs to take back, at the word of this one.
  async undo({ app, id }, io) {
    await callBack(app, linesOf(id) ?? [], io);
  },
});
export default step;
if (import.meta.main) void import("../lib/cli/step-program.ts").then(({ main }) => main(step));
