// The command that shows logs: logs.
import type { CAC } from "cac";
import { given, print, textOf, warn, whole, type Options } from "./arguments.ts";
import type { AppLine } from "../commands/logs.ts";
import { momentOf } from "../config/moment.ts";
import { DpError, messageOf } from "../errors.ts";
import { printJson } from "../text/say.ts";

const MOST = 1_000_000;

/** Declares it. */
export function declareLogsCommand(cli: CAC): void {
  cli
    .command(
      "logs <app> [process]",
      "Show what the live release says, web or worker or cron.NAME, or what a deploy said",
    )
    .option("-f, --follow", "Go on as lines come")
    .option("-n, --lines <count>", "How many of the last lines; default: 100, of a deploy all")
    .option("--since <time>", "Only lines from then on: 10m, 2h, 3d, 12:04, 2026-03-01T12:04; all of them without -n")
    .option("--grep <regex>", "Only lines that it matches")
    .option("--failed", "What the newest release that failed has said; with --deploy, what its deploy said")
    .option("--deploy [id]", "The log of a deploy, the newest without ID")
    .option("--json", "Each line as a JSON object")
    .action(async (app: string, process: string | undefined, options: Options) => {
      const { appLineText, appLogs } = await import("../commands/logs.ts");
      const { deployLogs } = await import("../deploy/deploy-logs.ts");
      const isDeploy = options["deploy"] !== undefined;
      const since = options["since"] === undefined ? undefined : momentOf(textOf(options, "since") ?? "");
      const lines = whole(textOf(options, "lines"), "--lines", MOST) ?? (isDeploy || since !== undefined ? MOST : 100);
      const how = {
        ...{ follow: options["follow"] === true, lines, failed: options["failed"] === true },
        ...given("since", since),
        ...given("grep", options["grep"] === undefined ? undefined : pattern(textOf(options, "grep") ?? "")),
      };
      const isJson = options["json"] === true;
      const printLine = (line: AppLine) => (isJson ? printJson({ app, ...line }) : print(appLineText(line)));
      if (!isDeploy) return appLogs(app, process, how, printLine, warn);
      if (since !== undefined) throw new DpError("usage", "--since looks at times, and the log of a deploy has none");
      const say = isJson ? (line: string) => printJson({ app, line }) : print;
      return deployLogs(app, textOf(options, "deploy"), how, say, warn);
    });
}

function pattern(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    throw new DpError("usage", `--grep: ${messageOf(error)}`);
  }
}
