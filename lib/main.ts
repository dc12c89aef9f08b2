// Turns errors into messages and exit codes, once for all of dp.
import { DpError, EXIT, hostError, messageOf } from "./errors.ts";
import { say, sayAfter } from "./text/say.ts";

// Loaded only when there is an error to print: it inspects the terminal, which costs half of dp's start-up time.
const colours = () => require("picocolors") as typeof import("picocolors");

/** Prints an error for the user on stderr; returns the exit code. */
export function report(thrown: unknown): number {
  const error = hostError(thrown);
  if (error instanceof DpError && error.exit === "hungUp") return EXIT.hungUp; // whom should it tell?
  const pc = colours();
  if (!(error instanceof DpError)) {
    sayAfter(pc.red("dp:"), messageOf(error));
    say(`  this is a bug in dp; where it happened:`);
    for (const line of (error instanceof Error ? (error.stack ?? "") : "").split("\n").slice(1, 8)) say(line);
    return EXIT.bug;
  }
  sayAfter(pc.red("dp:"), error.message);
  for (const line of error.lines) say(`  ${line}`);
  if (error.hint) say(`  → ${error.hint}`);
  return EXIT[error.exit];
}

/** Runs a command until it is done and sets the exit code; pending output is not cut off. */
export async function guarded(action: () => Promise<number | void>): Promise<void> {
  // The files of a release must not depend on the umask of the login that deploys: with root's 077 only the app could
  // read them.
  process.umask(0o022);
  try {
    process.exitCode = (await action()) ?? EXIT.ok;
  } catch (error) {
    process.exitCode = report(error);
  }
}
