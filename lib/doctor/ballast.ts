// The reserve on the disk that makes a rollback possible when the disk is full.
import { hasBallast, hasRoom } from "../host/ballast.ts";
import { byCommand, type Check } from "../contracts/check.ts";
import { appNames } from "../config/server.ts";

const check: Check = {
  summary: "the reserve for a rollback on a full disk",
  async server() {
    // If there is no room for it, the full disk is the finding.
    if ((await appNames()).length === 0 || (await hasBallast()) || !(await hasRoom())) return [];
    return [byCommand("warning", "the reserve for a rollback on a full disk is missing", "reconcile")];
  },
};
export default check;
