// dp itself: the program that the hooks call must exist, and nobody else may change it.
import { accessSync, constants, statSync } from "node:fs";
import { byHand, type Check } from "../contracts/check.ts";
import { BUN, SELF, treeOfDp } from "../host/self.ts";

const check: Check = {
  summary: "dp's own installation",
  async server() {
    try {
      for (const program of [SELF[0]!, BUN]) accessSync(program, constants.X_OK);
      accessSync(SELF.at(-1)!, constants.R_OK);
    } catch {
      return [byHand("error", `${SELF[0]!} or ${BUN}, which dp starts, is missing`, "./install.sh")];
    }
    const isOpen = (statSync(treeOfDp).mode & 0o002) !== 0;
    return isOpen ? [byHand("error", `everybody may change ${treeOfDp}`, `chmod -R o-w ${treeOfDp}/`)] : [];
  },
};
export default check;
