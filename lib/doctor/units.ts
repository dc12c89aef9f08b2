// The files that an app's manager wrote: systemd units must be as this dp would write them.
import { byCommand, type Check } from "../contracts/check.ts";

const check: Check = {
  summary: "the units of the app, as this dp writes them",
  async app({ name, places, server, manager }) {
    const { user, stopTimeout, path } = server;
    const wrong = (await manager.drift?.({ app: name, base: places.base, user, stopTimeout, path })) ?? [];
    return wrong.map((what) => byCommand("warning", what, "setup", name));
  },
};
export default check;
