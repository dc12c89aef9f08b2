#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Refuses a deploy that could not succeed, with figure and remedy, while nothing has been touched yet.
import { appOf } from "../lib/release/app.ts";
import { sizeText } from "../lib/config/size.ts";
import { DpError } from "../lib/errors.ts";
import { fact } from "../lib/pipeline/facts.ts";
import { freeRoom } from "../lib/host/disk.ts";
import { requireCurrent } from "../lib/release/current.ts";
import { memoryOf, memoryProblem, requireHost, requireServices } from "../lib/release/preflight.ts";
import { hasWeb } from "../lib/release/processes.ts";
import { roomFor, roomProblem } from "../lib/release/room.ts";
import { defineStep } from "../lib/pipeline/step.ts";

const step = defineStep(import.meta.path, {
  summary: "Check whether the server can take the deploy",
  needs: { app: fact.app, id: fact.id, server: fact.server, config: fact.config },
  provides: {},
  async run({ id, config, ...given }, io) {
    const app = await appOf(given);
    const { base } = app.places;
    const room = await freeRoom(base);
    await requireCurrent(app);
    // A run that has already switched only needs to reach its end.
    if ((await app.live()) === id) return {};
    await requireHost(app);
    const needed = await roomFor(app);
    const problem = roomProblem(room, needed);
    if (problem)
      throw new DpError("host", problem, {
        lines: [`${base} is on that disk; dp rollback and dp restart work without space`],
        hint: `du -xh -d 2 ${base} | sort -h shows what is large; minFree in config.yml asks for less`,
      });
    await requireServices(app, config);
    const found = await memoryOf(app);
    const memory = found.available === null ? "" : `; memory ${sizeText(found.available)} free`;
    io.info(`needs ${sizeText(needed.bytes)}, ${sizeText(room.bytes)} free${memory}`);
    // Not a refusal: the deploy may still fit, thanks to swap or a smaller release.
    const scarce = hasWeb(config) && app.server.strategy === "blue-green" ? memoryProblem(found) : null;
    if (scarce) io.warn(scarce);
    return {};
  },
});
export default step;
if (import.meta.main) void import("../lib/cli/step-program.ts").then(({ main }) => main(step));
