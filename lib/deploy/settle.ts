// Before a deploy's first step: what killed runs left is cleaned up.
import type { NamedApp } from "../contracts/app.ts";
import { glancesOf } from "../release/glance.ts";
import { runOf } from "../release/history.ts";
import { sweep } from "../release/tidy.ts";
import type { Receipt } from "../pipeline/receipt.ts";

/** Ends every run but `mine` that is unfinished and has done anything; queued runs are left alone. */
export async function settle(app: NamedApp, mine: string, out: Receipt): Promise<void> {
  await sweep(app);
  const runs = await glancesOf(app, (message) => out.warn(message));
  for (const { id, state, hasBegun } of runs) {
    if (id === mine || state !== "unfinished" || !hasBegun) continue;
    const { endKilled } = await import("./killed.ts"); // hardly ever needed
    await endKilled(app, await runOf(app, id), out);
  }
}
