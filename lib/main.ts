// From an error to its text and exit code, once for all of dp.
import { DpError, EXIT, hostError, messageOf } from "./errors.ts";
import { say, sayAfter } from "./text/say.ts";

// Loaded when there is an error to show: it looks at the terminal, which costs half as much as all of dp's start.
const colours = () => require("picocolors") as typeof import("picocolors");

/** Prints an error for the user, on stderr; answers the exit code. */
export function report(thrown: unknown): number {
  const error = hostError(thrown);
  const pc = colours();
  if (!(error instanceof DpError)) {
    sayAfter(pc.red("dp:"), messageOf(error));
    say(`  this is a bug in dp; what it was doing:`);
    for (const line of (error instanceof Error ? (error.stack ?? "") : "").split("\n").slice(1, 8)) say(line);
    return EXIT.bug;
  }
  sayAfter(pc.red("dp:"), error.message);
  for (const line of error.lines) say(`  ${line}`);
  if (error.hint) say(`  → ${error.hint}`);
  return EXIT[error.exit];
}

/** Runs a command to its end and sets the exit code; output still under way is not cut. */
export async function guarded(action: () => Promise<number | void>): Promise<void> {
  // What is laid out and built must not depend on whose login deploys: a root with 077 would close it to all but the app.
  process.umask(0o022);
  try {
    process.exitCode = (await action()) ?? EXIT.ok;
  } catch (error) {
    process.exitCode = report(error);
  }
}
