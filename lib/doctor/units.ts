// What the manager of an app wrote for it: units of systemd, as this dp would write them.
import { byCommand, type Check } from "../contracts/check.ts";
import { places } from "../paths.ts";
import { managerOf } from "../release/manager.ts";

const check: Check = {
  summary: "the units of the app, as this dp writes them",
  async app({ app, server }) {
    const { user, stopTimeout, path } = server;
    const drift = (await managerOf(server)).drift;
    const wrong = (await drift?.({ app, base: places(app).base, user, stopTimeout, path })) ?? [];
    return wrong.map((what) => byCommand("warning", what, "setup", app));
  },
};
export default check;
