#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Waits until the new release serves and is healthy on all servers: until then every one of them can still go back.
import { fact } from "../lib/pipeline/facts.ts";
import { namedApp } from "../lib/release/named-app.ts";
import { allAre, tellAll } from "../lib/servers/lead.ts";
import { switchText } from "../lib/servers/words.ts";
import { awaitWord } from "../lib/servers/word.ts";
import { moveBranch } from "../lib/servers/commit.ts";
import { sumOf } from "../lib/health/prober.ts";
import { defineStep } from "../lib/pipeline/step.ts";

const step = defineStep(import.meta.path, {
  summary: "Wait until the release is proven on all servers",
  needs: {
    app: fact.app,
    id: fact.id,
    kind: fact.kind,
    sha: fact.sha,
    server: fact.server,
    group: fact.group,
    switchTime: fact.switchTime,
    swapProbes: fact.swapProbes,
    verifyProbes: fact.verifyProbes,
  },
  provides: {},
  async run({ app, id, kind, sha, server, group, switchTime, swapProbes, verifyProbes }, io) {
    if (group?.as === "peer") {
      await awaitWord(namedApp(app), { id, word: "keep", lead: group.lead }, io);
      if (kind === "deploy") await moveBranch(namedApp(app), server.branch, sha);
    } else if (group) {
      const others = await allAre("proven", app, id, io);
      const own = { name: group.name, switchTime, probes: sumOf([swapProbes, verifyProbes]) };
      for (const each of [own, ...others]) io.output(`${each.name.padEnd(8)} ${switchText(each)}`);
    }
    return {};
  },
  async undo({ id, group }) {
    if (group?.as === "lead") tellAll(id, "back");
  },
});
export default step;
if (import.meta.main) void import("../lib/cli/step-program.ts").then(({ main }) => main(step));
