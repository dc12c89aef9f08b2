// Commands about single steps: step begin fact plan.
import type { CAC } from "cac";
import { answer, byKey, given, json, print, textOf, type Options } from "./arguments.ts";
import { EXIT } from "../errors.ts";
import { printExact } from "../text/say.ts";

export function declareStepCommands(cli: CAC): void {
  cli
    .command("step [name]", "List the steps, or run one by hand", byKey(null))
    .option("--context <file>", "The run file, as dp begin printed it")
    .option("--app <app>", "Use the newest run file of this app")
    .option("--undo", "Take the step back; without a step, all that ran: the run has then failed")
    .option("--json", "The list as JSON")
    .action(async (name: string | undefined, options: Options) => {
      const { listSteps, stepByHand, undoRun } = await import("../commands/step.ts");
      const { LISTED } = await import("../pipeline/pipeline.ts");
      const which = { ...given("context", textOf(options, "context")), ...given("app", textOf(options, "app")) };
      const undo = options["undo"] === true;
      if (name !== undefined) return stepByHand(name, { ...which, undo });
      if (undo) return undoRun(which);
      const steps = await listSteps(LISTED);
      return answer(options, steps, () => steps.map((step) => `${step.name.padEnd(14)}${step.summary}`));
    });

  cli
    .command(
      "begin <app> [ref]",
      "Write the run file of a deploy and print its path; nothing else happens",
      byKey(null),
    )
    .option("--skip-hooks", "Do not run preDeploy and postDeploy")
    .action(async (app: string, ref: string | undefined, options: Options) => {
      const { begin } = await import("../deploy/begin.ts");
      const { openApp } = await import("../release/app.ts");
      const { context, id } = await begin(await openApp(app), ref, { skipHooks: options["skipHooks"] === true });
      print(context);
      return { code: EXIT.ok, run: id };
    });

  cli
    .command(
      "fact [run-file] [name]",
      "Print a fact of a run, or all of them; without a run file, list the facts",
      byKey(null),
    )
    .action(async (context: string | undefined, name: string | undefined) => {
      const { allFacts, factText, vocabulary } = await import("../commands/fact.ts");
      if (context === undefined)
        for (const [fact, meaning] of await vocabulary()) print(`${fact.padEnd(14)}${meaning}`);
      else if (name === undefined) json(await allFacts(context));
      else printExact(await factText(context, name));
    });

  cli
    .command("plan [app] [ref]", "Show the order of the steps, or what a deploy of an app would do", byKey(null))
    .option("--json", "As JSON")
    .action(async (app: string | undefined, ref: string | undefined, options: Options) => {
      const { planFor, orderLines, planOfKind } = await import("../commands/plan.ts");
      const { planLines } = await import("../deploy/plan.ts");
      const found = app === undefined ? await planOfKind("deploy") : await planFor(app, ref);
      answer(options, found, () => ("steps" in found ? orderLines(found) : planLines(found)));
    });
}
