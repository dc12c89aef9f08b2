// Before a deploy's first step: what killed runs left is cleaned up.
import type { NamedApp } from "../contracts/app.ts";
import { runsOf, type PastRun } from "../release/history.ts";
import { sweep } from "../release/tidy.ts";
import type { Receipt } from "../pipeline/receipt.ts";

/** Ends every run but `mine` that is unfinished and has done anything; queued runs are left alone. */
export async function settle(app: NamedApp, mine: string, out: Receipt): Promise<void> {
  await sweep(app);
  const isKilled = ({ id, state, run }: PastRun) =>
    id !== mine && state === "unfinished" && Object.keys(run.journal).length > 0;
  for (const past of (await runsOf(app, (message) => out.warn(message))).filter(isKilled)) {
    const { endKilled } = await import("./killed.ts"); // hardly ever needed
    await endKilled(app, past, out);
  }
}
