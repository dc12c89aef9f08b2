#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Writes the settings of this release to the env file: only now are they proven.
import { appOf } from "../lib/release/app.ts";
import { basename } from "node:path";
import { envFile, envStamp, envText, writeEnvFile } from "../lib/config/env-file.ts";
import { fact } from "../lib/pipeline/facts.ts";
import { settingsFile, settingsText } from "../lib/release/settings.ts";
import { defineStep } from "../lib/pipeline/step.ts";

const step = defineStep(import.meta.path, {
  summary: "Save the environment that is now live",
  needs: { app: fact.app, id: fact.id, server: fact.server, envBefore: fact.envBefore },
  provides: {},
  async run({ id, envBefore, ...given }, io) {
    const app = await appOf(given);
    const { base } = app.places;
    const { env } = app.server;
    const text = envBefore === null ? null : await settingsText(app, id);
    const path = envFile(base, env);
    if (text === null) io.info("the env file stays as it is");
    else if ((await envText(base, env)) === text) io.info(`${basename(path)} has it already`);
    else if ((await envStamp(base, env)) === envBefore) {
      await writeEnvFile(base, env, text);
      io.info(`wrote ${basename(path)}`);
    } else
      io.warn(`${path} has changed meanwhile and stays as it is; the live release runs with ${settingsFile(app, id)}`);
    return {};
  },
});
export default step;
if (import.meta.main) void import("../lib/cli/step-program.ts").then(({ main }) => main(step));
