// Live apps that listen on the whole network, past their front.
import { byHand, type Check } from "../contracts/check.ts";
import { openAddress } from "../health/open-address.ts";
import { portOf } from "../release/ports.ts";
import { liveWeb } from "../release/wanted.ts";

const check: Check = {
  summary: "that nobody reaches the app past its front",
  atRest: true,
  async app(app) {
    const live = app.front.holdsPort ? await liveWeb(app) : null;
    const port = live ? await portOf(app, live) : null;
    if (!live || port === null) return [];
    const what = await openAddress({ app: app.name, id: live }, app.manager, port);
    return what === null ? [] : [byHand("warning", `${app.name}@${live} ${what}`, "dp help security")];
  },
};
export default check;
