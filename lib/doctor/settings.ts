// The app's settings: an env file that cannot be read fails the next deploy.
import { byHand, type Check } from "../contracts/check.ts";
import { envFile, readEnvFile } from "../config/env-file.ts";
import { DpError, messageOf } from "../errors.ts";

const check: Check = {
  summary: "the env file",
  async app({ places, server }) {
    const { base } = places;
    try {
      await readEnvFile(base, server.env);
      return [];
    } catch (error) {
      if (!(error instanceof DpError)) throw error;
      const what = [messageOf(error), ...error.lines].join("; ");
      return [byHand("error", what, `editor ${envFile(base, server.env)}`)];
    }
  },
};
export default check;
