// dp itself: the program that the hooks call must exist, and nobody else may change it.
import { accessSync, constants, statSync } from "node:fs";
import { byHand, type Check } from "../contracts/check.ts";
import { SELF, treeOfDp } from "../host/self.ts";

const check: Check = {
  summary: "dp's own installation",
  async server() {
    const [bun = ""] = SELF;
    try {
      accessSync(bun, constants.X_OK);
      accessSync(SELF.at(-1)!, constants.R_OK);
    } catch {
      return [byHand("error", `${bun} or ${treeOfDp}, which the hooks start, is missing`, "./install.sh")];
    }
    const isOpen = (statSync(treeOfDp).mode & 0o002) !== 0;
    return isOpen ? [byHand("error", `everybody may change ${treeOfDp}`, `chmod -R o-w ${treeOfDp}/`)] : [];
  },
};
export default check;
