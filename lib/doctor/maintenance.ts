// The maintenance of an app: somebody wanted it, and may have forgotten it.
import { byCommand, byHand, type Check } from "../contracts/check.ts";
import { describeMaintenance, isAsTold, maintenanceOf } from "../release/maintenance.ts";

const check: Check = {
  summary: "whether the app is closed for maintenance",
  async app(app) {
    const now = maintenanceOf(app);
    if (!isAsTold(app, await app.front.status(app.name))) {
      const what = now === null ? "the front still keeps clients away" : "the front does not keep clients away";
      return [byCommand("error", `${what}: maintenance is ${now === null ? "off" : "on"}`, "reconcile", app.name)];
    }
    if (now === null) return [];
    const what = `${app.name} is closed for maintenance by ${describeMaintenance(now)}`;
    return [byHand("note", what, `dp maintenance ${app.name} off`)];
  },
};
export default check;
