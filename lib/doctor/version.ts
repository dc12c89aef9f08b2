// The version of dp: a newer dp than the installed one may have set an app up.
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
