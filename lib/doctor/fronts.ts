// The fronts of the server's apps: each must run, be configured as by this dp, and start at boot.
import { byCommand, type Check, type Finding } from "../contracts/check.ts";
import { codeOf, DpError } from "../errors.ts";
import { places } from "../paths.ts";
import { front } from "../registry.ts";
import { appNames, readServer } from "../config/server.ts";
import { lstatSync } from "node:fs";

const check: Check = {
  summary: "the processes that hold public ports",
  async server() {
    const findings: Finding[] = [];
    for (const [name, app] of await frontsInUse()) {
      const wrong = (await (await front(name)).drift?.()) ?? [];
      // One app is enough to mend it; but what is wrong here has broken others as well.
      findings.push(
        ...wrong.map((what) => ({ ...byCommand("error", what, "reconcile", app), command: "dp reconcile" })),
      );
    }
    return findings;
  },
};
export default check;

/** Front -> one of the live apps that it serves. */
async function frontsInUse(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const app of await appNames()) {
    try {
      const own = places(app);
      if (lstatSync(own.current, { throwIfNoEntry: false })) found.set((await readServer(own)).front, app);
    } catch (error) {
      // Its own check reports that.
      if (!(error instanceof DpError) && codeOf(error) === undefined) throw error;
    }
  }
  return found;
}
