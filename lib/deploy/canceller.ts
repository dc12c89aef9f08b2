// Who cancels a run: a signal carries no name, so the run's process finds it here.
import { readFileSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import type { NamedApp } from "../contracts/app.ts";
import { removeFile, writeFileAtomic } from "../host/files.ts";

const fileOf = ({ places }: NamedApp, id: string) => join(places.runs, `${id}.cancelled-by`);

/** Notes who is about to cancel the run. */
export const noteCanceller = (app: NamedApp, id: string, by: string) => writeFileAtomic(fileOf(app, id), by);

/** Removes the note, if it is still there. */
export const forgetCanceller = (app: NamedApp, id: string) => removeFile(fileOf(app, id));

/** For the run's process: who cancels it, read once; null when the signal came from somebody else. */
export function takeCanceller(app: NamedApp, id: string): string | null {
  try {
    const by = readFileSync(fileOf(app, id), "utf8");
    unlinkSync(fileOf(app, id));
    return by;
  } catch {
    return null; // the signal was sent by hand
  }
}
