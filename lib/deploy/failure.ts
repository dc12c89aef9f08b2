// How a run that fails is concluded in its context, and what its log says of it.
import { conclude, load, type Run } from "../pipeline/context.ts";
import { DpError, exitCodeOf, messageOf } from "../errors.ts";
import { failureScreen } from "./log/screen.ts";
import type { Receipt } from "../pipeline/receipt.ts";

/** A run, and who is told of it. */
export interface Told {
  app: string;
  /** The context's path. */
  context: string;
  /** Takes secrets out of a text. */
  clean: (text: string) => string;
  out: Receipt;
}

/** Ends a run that had no turn: nothing of it was begun. Answers the exit code. */
export async function refused({ app, context, run, clean, out }: Told & { run: Run }, error: unknown): Promise<number> {
  await concludeBy(context, error);
  for (const line of await failureScreen(app, run, error, clean)) out.say(line);
  return exitCodeOf(error);
}

/** Says how a run failed whose turn it was; its steps have concluded it. Answers the exit code. */
export async function failed({ app, context, clean, out }: Told, error: unknown): Promise<number> {
  const ended = await load(context);
  // What failed before its first step is over: there is nothing to go on with.
  if (!ended.result && Object.keys(ended.journal).length === 0) await concludeBy(context, error);
  for (const line of await failureScreen(app, ended, error, clean, out.lastOutput())) out.say(line);
  return exitCodeOf(error);
}

function concludeBy(context: string, error: unknown): Promise<void> {
  const state = error instanceof DpError && error.exit === "superseded" ? "superseded" : "failed";
  return conclude(context, { state, code: exitCodeOf(error), error: messageOf(error) });
}
