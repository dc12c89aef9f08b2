// The deploy branch: it should point at the live commit, unless somebody chose otherwise.
import { byHand, type Check } from "../contracts/check.ts";
import { branchApart } from "../release/branch.ts";

const check: Check = {
  summary: "the deploy branch, and whether its commit is live",
  atRest: true,
  async app(app) {
    const apart = await branchApart(app);
    if (apart === null) return [];
    return [byHand(apart.isWanted ? "note" : "warning", apart.what, `dp deploy ${app.name}`)];
  },
};
export default check;
