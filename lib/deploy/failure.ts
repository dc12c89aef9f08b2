// How a failed run is concluded in its run file and in its log.
import type { App } from "../contracts/app.ts";
import { conclude, load, type Run } from "../pipeline/run-file.ts";
import { DpError, exitCodeOf, messageOf } from "../errors.ts";
import { failureScreen } from "./log/screen.ts";
import type { Receipt } from "../pipeline/receipt.ts";

/** A run, and where its messages go. */
export interface Told {
  app: App;
  /** The run file. */
  file: string;
  /** Removes secrets from a text. */
  clean: (text: string) => string;
  out: Receipt;
}

/** Ends a run that never had its turn and did nothing. Answers the exit code. */
export async function refused({ app, file, run, clean, out }: Told & { run: Run }, error: unknown): Promise<number> {
  await concludeBy(file, error);
  for (const line of await failureScreen(app, run, error, clean)) out.say(line);
  return exitCodeOf(error);
}

/** Reports why a run failed that had its turn; its steps have concluded it. Answers the exit code. */
export async function failed({ app, file, clean, out }: Told, error: unknown): Promise<number> {
  const ended = await load(file);
  // A run that failed before its first step was over cannot be resumed.
  if (!ended.result && Object.keys(ended.journal).length === 0) await concludeBy(file, error);
  for (const line of await failureScreen(app, ended, error, clean, out.lastOutput())) out.say(line);
  return exitCodeOf(error);
}

function concludeBy(file: string, error: unknown): Promise<void> {
  const state = error instanceof DpError && error.exit === "superseded" ? "superseded" : "failed";
  return conclude(file, { state, code: exitCodeOf(error), error: messageOf(error) });
}
