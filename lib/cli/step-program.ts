// A step as a program: `./steps/NAME.ts RUN-FILE [--undo]`.
import { stepByHand } from "../commands/step.ts";
import { DpError } from "../errors.ts";
import { guarded } from "../main.ts";

/** Runs a step and exits with its exit code. */
export function main({ name }: { name: string }): Promise<void> {
  return guarded(async () => {
    const args = process.argv.slice(2);
    const isUndo = args.includes("--undo");
    const [context, ...rest] = args.filter((arg) => arg !== "--undo");
    if (context === undefined || rest.length > 0 || context.startsWith("-")) {
      throw new DpError("usage", `usage: ${name}.ts RUN-FILE [--undo]`, {
        hint: "dp begin APP makes a run file and prints its path",
      });
    }
    await stepByHand(name, { context, undo: isUndo });
  });
}
