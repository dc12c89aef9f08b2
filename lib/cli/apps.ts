// Commands about a whole app: apps run restart destroy.
import type { CAC } from "cac";
import {
  answer,
  byKey,
  only,
  waitOption,
  withoutOption,
  HIDDEN,
  WAIT,
  WITHOUT,
  ON,
  type Options,
} from "./arguments.ts";
import { controlled } from "./process.ts";
import { DpError } from "../errors.ts";

export function declareAppCommands(cli: CAC): void {
  cli
    .command("apps", "List the apps of this server and their state", byKey("view", { isFiltered: true }))
    .option("--only <apps>", HIDDEN)
    .option("--json", "As JSON")
    .action(async (options: Options) => {
      const { apps, appLines } = await import("../commands/apps.ts");
      const rows = await apps(only(options));
      answer(options, rows, () => appLines(rows));
    });

  cli
    .command(
      "run <app> [...command]",
      "Run a command in the live release, with its environment, as its user",
      byKey("operate"),
    )
    .option("--no-tty", "Give the command no terminal")
    .option(...ON)
    .usage("run <app> [--] COMMAND [ARGUMENT]...       one word with spaces is a line for sh")
    .action(async (app: string, command: string[], options: Options) => {
      const { runOnce } = await import("../commands/run.ts");
      return runOnce(app, command, { tty: options["tty"] !== false });
    });

  cli
    .command(
      "restart <app> [process]",
      "Start the live release again beside itself, check it and switch; or restart one process, worker.2",
      byKey("push"),
    )
    .option(...WITHOUT)
    .option(...WAIT)
    .option("--json", "The result as JSON on stdout, the log on stderr")
    .action(async (app: string, process: string | undefined, options: Options) => {
      const without = withoutOption(options);
      if (process !== undefined && without.without !== undefined)
        throw new DpError("usage", `${process} is restarted on this server alone: there is nobody to leave out`);
      if (process !== undefined) return controlled("restart", app, process, options);
      const { restart } = await import("../commands/restart.ts");
      const result = await restart(app, { json: options["json"] === true, ...waitOption(options), ...without });
      answer(options, result, () => []);
      return result.code;
    });

  cli
    .command("destroy <app>", "Remove an app: processes, units, user, port, repository, releases and logs", byKey(null))
    .option("--yes", "Do not ask")
    .option("--purge", "Keep no archive of its settings, config.yml and shared files")
    .option("--json", "As JSON")
    .action(async (app: string, options: Options) => {
      const { destroy, questionFor } = await import("../commands/destroy.ts");
      const question = await questionFor(app);
      if (options["yes"] !== true) await confirm(app, question);
      const result = await destroy(app, { purge: options["purge"] === true });
      answer(options, result, () => [
        ...result.changes,
        result.archive ? `${app} is gone; its settings and shared files are in ${result.archive}` : `${app} is gone`,
      ]);
    });
}

/** Asks for the app's name. Throws DpError "usage" when the answer differs, or there is nobody to ask. */
async function confirm(app: string, question: string): Promise<void> {
  if (!process.stdin.isTTY)
    throw new DpError("usage", `this destroys ${app}: confirm it with --yes`, { hint: `dp destroy ${app} --yes` });
  const { ask } = await import("./ask.ts");
  if ((await ask(question)).trim() !== app)
    throw new DpError("usage", "that is not the app's name; nothing was changed");
}
