// dp itself: the program that the hooks call must exist, and nobody else may change it.
import { accessSync, constants, statSync } from "node:fs";
import { byHand, type Check } from "../contracts/check.ts";
import { BUN, SELF, treeOfDp } from "../host/self.ts";

function may(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

const isUnreadable = (word: string) => word.startsWith("/") && !may(word, constants.R_OK);

const check: Check = {
  summary: "dp's own installation",
  async server() {
    const missing = [BUN, SELF[0]!].find((path) => !may(path, constants.X_OK)) ?? SELF.find(isUnreadable);
    if (missing !== undefined) return [byHand("error", `${missing}, which dp starts, is missing`, "./install.sh")];
    const isOpen = (statSync(treeOfDp).mode & 0o002) !== 0;
    return isOpen ? [byHand("error", `everybody may change ${treeOfDp}`, `chmod -R o-w ${treeOfDp}/`)] : [];
  },
};
export default check;
