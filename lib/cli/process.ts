// Commands about the processes of an app: ps scale stop start cron.
import type { CAC } from "cac";
import { answer, byKey, print, warn, ON, type Options } from "./arguments.ts";
import { DpError, EXIT } from "../errors.ts";
import type { Action } from "../commands/control.ts";

const ACTIONS: Record<Exclude<Action, "restart">, string> = {
  stop: "Stop all processes of the live release, or one, worker.2, until dp start or the next deploy",
  start: "Start stopped processes again",
};

const isRun = ([first, name]: readonly string[]) => first === "run" && name !== undefined;

export function declareProcessCommands(cli: CAC): void {
  cli
    .command("ps <app>", "Show every process of an app: pid, uptime, restarts, memory, command", byKey("view"))
    .option(...ON)
    .option("--json", "As JSON")
    .action(async (app: string, options: Options) => {
      const { ps, processLines } = await import("../commands/ps.ts");
      const rows = await ps(app, warn);
      answer(options, rows, () => processLines(rows, Date.now()));
    });

  cli
    .command(
      "scale <app> [...processes]",
      "Set how many of a process run, worker=2; without that, show how many of each do",
      byKey("operate"),
    )
    .option(...ON)
    .option("--json", "As JSON")
    .action(async (app: string, words: string[], options: Options) => {
      const { parseScale, scale, scales } = await import("../commands/scale.ts");
      const wanted = parseScale(words);
      const now = words.length === 0 ? await scales(app) : await scale(app, wanted, warn);
      answer(options, now, () => Object.entries(now).map(([process, count]) => `${process}=${count}`));
    });

  for (const [action, summary] of Object.entries(ACTIONS) as [Action, string][]) {
    cli
      .command(`${action} <app> [process]`, summary, byKey("operate"))
      .option(...ON)
      .option("--json", "As JSON")
      .action((app: string, process: string | undefined, options: Options) =>
        controlled(action, app, process, options),
      );
  }

  cli
    .command(
      "cron <app> [name] [entry]",
      "Show the scheduled jobs; dp cron run APP NAME runs one now",
      byKey(({ words }) => (isRun(words) ? "operate" : "view"), {
        app: (words) => (isRun(words) ? words[1] : words[0]),
      }),
    )
    .option("--scheduled", "Print only the result")
    .option("--due", "With run: only if the schedule came within the last ten minutes and has not been run since")
    .option("--json", "As JSON")
    .action(async (app: string, name: string | undefined, entry: string | undefined, options: Options) => {
      if (name !== undefined && isRun([app, name])) return runNow(name, entry, options);
      const { cronEntries, cronLines } = await import("../commands/cron.ts");
      if (name !== undefined)
        throw new DpError("usage", `dp cron takes only the name of an app`, { hint: `dp cron run ${app} ${name}` });
      const rows = await cronEntries(app);
      return answer(options, rows, () => cronLines(rows));
    });
}

/** Restarts, stops or starts processes, and answers which. */
export async function controlled(
  action: Action,
  app: string,
  process: string | undefined,
  options: Options,
): Promise<void> {
  const { control } = await import("../commands/control.ts");
  const done = await control(app, action, process, options["json"] ? warn : print);
  answer(options, { app, done }, () => []);
}

async function runNow(app: string, name: string | undefined, options: Options): Promise<number> {
  const { cronRun, isDueNow, resultText } = await import("../commands/cron.ts");
  if (name === undefined) throw new DpError("usage", "which job?", { hint: `dp cron ${app} lists them` });
  if (options["due"] === true && !(await isDueNow(app, name))) return EXIT.ok;
  const run = await cronRun(app, name, options["scheduled"] === true, options["json"] ? warn : print);
  answer(options, run, () => []);
  warn(`cron ${name} of ${app}, in ${run.release}: ${resultText(run)}`);
  return run.code === 0 ? EXIT.ok : EXIT.command;
}
