#!/usr/bin/env -S bun --no-env-file --config=/dev/null --tsconfig-override=/dev/null --no-install
// Waits until the other servers have ended their part, and shows what each saw; the release is live, so nothing fails here.
import { fact } from "../lib/pipeline/facts.ts";
import { linesOf } from "../lib/servers/line.ts";
import { endText } from "../lib/servers/words.ts";
import { defineStep } from "../lib/pipeline/step.ts";

const step = defineStep(import.meta.path, {
  summary: "Wait until the other servers have ended",
  needs: { app: fact.app, id: fact.id },
  provides: {},
  async run({ app, id }, io) {
    for (const { name, ended } of linesOf(id) ?? []) {
      const end = await Promise.race([ended, aborted(io.signal)]);
      if (end.code === 0) io.output(`${name.padEnd(8)} ${endText(end)}`);
      else io.warn(`${name}: ${end.error ?? `exit code ${end.code}`}; dp fleet sync ${app} brings it in line`);
    }
    return {};
  },
});

const aborted = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
export default step;
if (import.meta.main) void import("../lib/cli/step-program.ts").then(({ main }) => main(step));
