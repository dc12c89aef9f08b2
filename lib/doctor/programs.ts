// Programs that a deploy needs: those of dp, of the manager, of the front, and of the app's type.
import { byHand, type Check, type Finding } from "../contracts/check.ts";
import { factOf } from "../pipeline/run-file.ts";
import { DpError, messageOf } from "../errors.ts";
import { fact } from "../pipeline/facts.ts";
import { appType } from "../registry.ts";
import { newestRun } from "../release/history.ts";
import { missingPrograms } from "../release/preflight.ts";

const check: Check = {
  summary: "programs that deploys need",
  async app(app) {
    const { name, server, manager, front } = app;
    const findings: Finding[] = [];
    const missing = missingPrograms(server.user);
    if (missing) findings.push(byHand("error", missing.what, missing.command));
    const last = await newestRun(app);
    const type = last && "config" in last.run.facts ? factOf(last.run, "config", fact.config).type : null;
    if (type !== null) findings.push(...(await hostFindings(type)));
    const asked = [
      [`manager ${server.manager}`, await manager.unavailable(server.path), "--manager NAME"],
      [`front ${server.front}`, await front.unavailable(), "--front NAME"],
    ] as const;
    for (const [what, why, option] of asked)
      if (why !== null) findings.push(byHand("error", `${what}: ${why}`, `mend that, or: dp setup ${name} ${option}`));
    return findings;
  },
};
export default check;

async function hostFindings(type: string): Promise<Finding[]> {
  try {
    await (await appType(type)).requireHost?.();
    return [];
  } catch (error) {
    if (!(error instanceof DpError)) throw error;
    return [byHand("error", messageOf(error), error.hint ?? "dp doctor")];
  }
}
