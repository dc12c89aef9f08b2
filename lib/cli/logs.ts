// The command that shows logs: logs.
import type { CAC } from "cac";
import { byKey, given, print, textOf, warn, whole, ON, type Options } from "./arguments.ts";
import type { AppLine } from "../commands/logs.ts";
import { momentOf } from "../config/moment.ts";
import { DpError, messageOf } from "../errors.ts";
import { printJson } from "../text/say.ts";

const MOST = 1_000_000;

export function declareLogsCommand(cli: CAC): void {
  cli
    .command(
      "logs <app> [process]",
      "Show the output of the live release, of web, worker or cron.NAME, or of a deploy",
      byKey("view"),
    )
    .option("-f, --follow", "Follow: print new lines as they come")
    .option("-n, --lines <count>", "How many lines; default: the last 100, of a deploy all")
    .option(
      "--since <time>",
      "Only lines since that time, without -n all of them: 10m, 2h, 3d, 12:04, 2026-03-01T12:04",
    )
    .option("--grep <regex>", "Only lines that match")
    .option(...ON)
    .option("--failed", "The output of the newest failed release; with --deploy, of its deploy")
    .option("--deploy [id]", "The output of a deploy, without ID of the newest")
    .option("--json", "Each line as a JSON object")
    .action(async (app: string, process: string | undefined, options: Options) => {
      const { appLineText, appLogs } = await import("../commands/logs.ts");
      const { deployLogs } = await import("../deploy/deploy-logs.ts");
      const isDeploy = options["deploy"] !== undefined;
      const since = sinceOf(options);
      const how = {
        follow: options["follow"] === true,
        lines: countOf(options),
        failed: options["failed"] === true,
        ...given("since", since),
        ...given("grep", grepOf(options)),
      };
      const isJson = options["json"] === true;
      const printLine = (line: AppLine) => (isJson ? printJson({ app, ...line }) : print(appLineText(line)));
      if (!isDeploy) return appLogs(app, process, how, printLine, warn);
      if (since !== undefined) throw new DpError("usage", "--since needs times, and the log of a deploy has none");
      const say = isJson ? (line: string) => printJson({ app, line }) : print;
      return deployLogs(app, textOf(options, "deploy"), how, say, warn);
    });
}

/** The time of `--since`. Throws DpError "usage". */
const sinceOf = (options: Options): number | undefined =>
  options["since"] === undefined ? undefined : momentOf(textOf(options, "since") ?? "");

/** How many lines are wanted. Throws DpError "usage". */
export function countOf(options: Options): number {
  const isWhole = options["deploy"] !== undefined || sinceOf(options) !== undefined;
  return whole(textOf(options, "lines"), "--lines", MOST) ?? (isWhole ? MOST : 100);
}

/** The expression of `--grep`, if any. Throws DpError "usage" for one that is wrong, or that a key may not use. */
export const grepOf = (options: Options): RegExp | undefined =>
  options["grep"] === undefined ? undefined : pattern(textOf(options, "grep") ?? "");

/** How long an expression that comes by a key may be. */
const LONGEST = 200;

function pattern(text: string): RegExp {
  if (process.env["DP_KEY"] !== undefined) requireBounded(text);
  try {
    return new RegExp(text);
  } catch (error) {
    throw new DpError("usage", `--grep: ${messageOf(error)}`);
  }
}

// By a key root's dp searches, and `(a+)+$` would keep it busy for years. What repeats nothing takes a time in proportion
// to the line. Behind a backslash and in a class every character stands for itself.
function requireBounded(text: string): void {
  const rest = text.replaceAll(/\\./gs, "").replaceAll(/\[[^\]]*\]/g, "");
  if (text.length <= LONGEST && !/[*+?(]|\{\d+(?:,\d*)?\}/.test(rest)) return;
  throw new DpError("usage", `--grep by a key takes ${LONGEST} characters at most, and none of * + ? ( ) {2}`, {
    hint: "text, . [abc] ^ $ and | are understood; a backslash before a character takes it as it is",
  });
}
