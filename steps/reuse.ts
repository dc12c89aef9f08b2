#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Makes a release of its own out of the live one's files: a link to them, nothing is copied or built.
import { join } from "node:path";
import { envStamp } from "../lib/config/env-file.ts";
import { DpError } from "../lib/errors.ts";
import { fact } from "../lib/pipeline/facts.ts";
import { removeFile, syncFolder } from "../lib/host/files.ts";
import { liveId } from "../lib/release/history.ts";
import { point } from "../lib/host/link.ts";
import { defineStep } from "../lib/pipeline/step.ts";
import { treeOf } from "../lib/host/release-folder.ts";

const step = defineStep(import.meta.path, {
  summary: "Use the live release's files once more",
  needs: {
    app: fact.app,
    base: fact.base,
    id: fact.id,
    server: fact.server,
    restarts: fact.restarts,
    envBefore: fact.envBefore,
  },
  provides: { release: fact.release },
  async run({ app, base, id, server, restarts, envBefore }, io) {
    const live = await liveId(app);
    const release = join(base, "releases", id);
    if (live !== id && live !== restarts) {
      throw new DpError("locked", `${live ?? "nothing"} is live by now, not ${restarts}`, { hint: `dp status ${app}` });
    }
    if (live !== id && envBefore !== null && (await envStamp(base, server.env)) !== envBefore) {
      throw new DpError(
        "locked",
        `the settings of ${app} were changed meanwhile, and this change was made to the old ones`,
        {
          hint: `dp env ${app}, then type it again`,
        },
      );
    }
    const tree = treeOf(app, restarts);
    await point(release, join(base, "releases", tree));
    io.info(`the files of ${tree}`);
    return { release };
  },
  async undo({ app, base, id }) {
    if ((await liveId(app)) === id) return;
    await removeFile(join(base, "releases", id));
    await syncFolder(join(base, "releases"));
  },
});
export default step;
if (import.meta.main) void import("../lib/cli/step-program.ts").then(({ main }) => main(step));
