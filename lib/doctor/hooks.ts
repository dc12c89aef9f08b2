// The hooks of the bare repository, which turn a push into a deploy.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { byCommand, byDrift, type Check } from "../contracts/check.ts";
import { hookDrift } from "../setup/repository.ts";

const check: Check = {
  summary: "the repository and its hooks, as this dp writes them",
  async app(app) {
    const { name, places } = app;
    const { repo } = places;
    if (!existsSync(join(repo, "HEAD"))) return [byCommand("error", `there is no repository ${repo}`, "setup", name)];
    return (await hookDrift(app)).map((drift) => byDrift(name, drift));
  },
};
export default check;
