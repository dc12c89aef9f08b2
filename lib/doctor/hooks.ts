// The hooks of the bare repository, which turn a push into a deploy.
import { existsSync, lstatSync } from "node:fs";
import { join } from "node:path";
import { COMMANDS, foundBySsh } from "../access/served-hooks.ts";
import { byCommand, byDrift, byHand, type Check } from "../contracts/check.ts";
import { hasGitUser } from "../git/owner.ts";
import { hookDrift } from "../setup/repository.ts";

const check: Check = {
  summary: "the repository and its hooks, as this dp writes them",
  async app(app) {
    const { name, places } = app;
    const { repo } = places;
    if (lstatSync(join(repo, "HEAD"), { throwIfNoEntry: false }) === undefined)
      return [byCommand("error", `there is no repository ${repo}`, "setup", name)];
    return (await hookDrift(app)).map((drift) => byDrift(name, drift));
  },
  async server(io) {
    const own = `${COMMANDS}/git-receive-pack`;
    if (!hasGitUser() || !existsSync(own)) return [];
    const found = await foundBySsh(io);
    if (found === null || found === own) return [];
    const what = `ssh finds ${found} before ${own}: git refuses a push as root`;
    return [byHand("error", what, `put ${COMMANDS} first in the PATH of /etc/environment, or of root's shell`)];
  },
};
export default check;
