// The version of dp: what has set an app up may know more than the dp that is installed now.
import { byHand, type Check } from "../contracts/check.ts";
import { isOlder, version } from "../host/version.ts";
import { setUpBy } from "../setup/record.ts";

const check: Check = {
  summary: "dp is not older than the one that set the app up",
  async app(app) {
    const before = await setUpBy(app);
    if (before === null || !isOlder(version, before)) return [];
    const what = `dp ${version} is older than dp ${before}, which set ${app.name} up`;
    return [byHand("warning", what, `./install.sh, in a clone of dp ${before} or newer`)];
  },
};
export default check;
