// `dp watch`: looks at all apps once, tells what is news, and shows what it saw.
import { DpError } from "../errors.ts";
import { lookAtAll } from "../watch/look.ts";
import type { Watch } from "../watch/state.ts";
import { spanText, table } from "../text/table.ts";

/** Looks once. Throws DpError "locked" when another look is under way. */
export async function watch(warn: (message: string) => void): Promise<Watch> {
  const seen = await lookAtAll(warn);
  if (seen !== null) return seen;
  throw new DpError("locked", "another look is under way", { hint: "dp watch, in a few seconds" });
}

/** What was seen, for people. */
export function watchLines({ apps, at }: Watch): string[] {
  if (Object.keys(apps).length === 0) return ["no app yet: dp setup APP"];
  const rows = Object.entries(apps).map(([name, { state, isHeld, since, health, detail }]) => {
    const why = [health, detail].filter(Boolean).join("; ");
    // watch.json has one word for both: an older dp that reads it knows no other.
    const word = state === "deploying" && !isHeld ? "starting" : state;
    return [name, word, spanText(Date.parse(at) - Date.parse(since)), why || "-"];
  });
  return table(["APP", "STATE", "FOR", "SEEN"], rows);
}
