// The deploy branch: it should point at the live commit, unless somebody chose otherwise.
import { byHand, type Check } from "../contracts/check.ts";
import { branchApart } from "../release/branch.ts";

const check: Check = {
  summary: "the deploy branch, and whether its commit is live",
  atRest: true,
  async app(app) {
    const apart = await branchApart(app);
    // An interrupted deploy is a finding of its own, and what ends it brings the two together.
    if (apart === null || apart.isUnfinished) return [];
    const { what, chosenBy } = apart;
    // No command: `dp deploy` would put the commit live that somebody has just gone back from.
    if (chosenBy === "rollback")
      return [byHand("note", `${what}: an older commit, after a rollback`, "nothing to do: the next push deploys")];
    return [byHand(chosenBy === null ? "warning" : "note", what, `dp deploy ${app.name}`)];
  },
};
export default check;
