#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Makes a new release from the live one's files: a link to them, without copying or building.
import { appOf } from "../lib/release/app.ts";
import { join } from "node:path";
import { envStamp } from "../lib/config/env-file.ts";
import { DpError } from "../lib/errors.ts";
import { fact } from "../lib/pipeline/facts.ts";
import { removeFile, syncFolder } from "../lib/host/files.ts";
import { point } from "../lib/host/link.ts";
import { defineStep } from "../lib/pipeline/step.ts";
import { treeOf } from "../lib/host/release-folder.ts";

const step = defineStep(import.meta.path, {
  summary: "Use the files of the live release again",
  needs: {
    app: fact.app,
    id: fact.id,
    server: fact.server,
    restarts: fact.restarts,
    envBefore: fact.envBefore,
  },
  provides: { release: fact.release },
  async run({ id, restarts, envBefore, ...given }, io) {
    const app = await appOf(given);
    const { name, places, server } = app;
    const live = await app.live();
    const release = join(places.releases, id);
    if (live !== id && live !== restarts) {
      throw new DpError("locked", `${live ?? "nothing"} is live by now, not ${restarts}`, {
        hint: `dp status ${name}`,
      });
    }
    if (live !== id && envBefore !== null && (await envStamp(places.base, server.env)) !== envBefore) {
      throw new DpError("locked", `the settings of ${name} have changed since this change was made`, {
        hint: `dp env ${name}, then run it again`,
      });
    }
    const tree = treeOf(places.releases, restarts);
    await point(release, join(places.releases, tree));
    io.info(`the files of ${tree}`);
    return { release };
  },
  async undo({ id, ...given }) {
    const { places, live } = await appOf(given);
    if ((await live()) === id) return;
    await removeFile(join(places.releases, id));
    await syncFolder(places.releases);
  },
});
export default step;
if (import.meta.main) void import("../lib/cli/step-program.ts").then(({ main }) => main(step));
