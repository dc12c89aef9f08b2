// The command about an app's settings: env.
import type { CAC } from "cac";
import { answer, byKey, withoutOption, WITHOUT, type Options } from "./arguments.ts";
import type { ChangeOptions, EnvChanged } from "../commands/env.ts";
import type { Role, Typed } from "../access/role.ts";
import { DpError } from "../errors.ts";
import { printExact, say } from "../text/say.ts";
import { didYouMean } from "../text/suggestion.ts";

const ACTIONS = ["list", "get", "set", "unset", "import"] as const;
const MASK = "********";

export function declareEnvCommand(cli: CAC): void {
  cli
    .command(
      "env <app> [action] [...words]",
      "Show or change the settings: list, get, set, unset, import",
      byKey(roleOf),
    )
    .option("--reveal", "Show the values")
    .option("--no-restart", "Only write the file: the next deploy or restart uses the change")
    .option(...WITHOUT)
    .option("--json", "As JSON; masked values are null")
    .usage(
      `env <app> [list] [--reveal]
  $ dp env <app> get NAME
  $ dp env <app> set NAME=value ...       several at once, all or none
  $ dp env <app> set NAME < FILE          a value from stdin, kept out of the shell history
  $ dp env <app> unset NAME ...
  $ dp env <app> import [FILE]            NAME=value lines, from stdin without FILE`,
    )
    .action(async (app: string, action: string | undefined, words: string[], options: Options) => {
      const env = await import("../commands/env.ts");
      const how: ChangeOptions = {
        restart: options["restart"] !== false,
        json: options["json"] === true,
        ...withoutOption(options),
      };
      if (how.without !== undefined && ["list", "get"].includes(action ?? "list"))
        throw new DpError("usage", "--without is for a change: list and get ask this server alone");
      switch (action ?? "list") {
        case "list":
          none(words);
          return listed(app, await env.listEnv(app), options);
        case "get":
          return printExact(await env.getEnv(app, only(words, "which setting? dp env APP get NAME")));
        case "set":
          return changed(
            await env.changeEnv(app, await env.assignments(words, (name) => valueOf(app, name)), how),
            options,
          );
        case "unset":
          return changed(await env.unsetEnv(app, words, how), options);
        case "import":
          return changed(await env.changeEnv(app, await env.importedFrom(fileAmong(words)), how), options);
      }
      // It may be a secret, and is not shown.
      if (action!.includes("="))
        throw new DpError("usage", "a setting is changed by set", { hint: `dp env ${app} set NAME=value` });
      throw new DpError("usage", `unknown action ${JSON.stringify(action)}; the actions are ${ACTIONS.join(", ")}`, {
        hint: "dp env --help",
        ...didYouMean(action ?? "", ACTIONS),
      });
    });
}

// A file to import is one of the server, which root would read: a key brings the lines on stdin.
function roleOf({ words: [, action, ...rest] }: Typed): Role | null {
  return action === "import" && rest.some((word) => word !== "-") ? null : "operate";
}

/**
 * The words after `dp env` with the app first: `dp env set APP A=1` means `dp env APP set A=1`, unless an app is called
 * set. Throws DpError "usage" when they name no app.
 */
export async function withAppFirst(words: readonly string[]): Promise<string[]> {
  const [first = "", second, ...rest] = words;
  const isAction = (word: string | undefined) => (ACTIONS as readonly (string | undefined)[]).includes(word);
  const { appNames } = await import("../config/server.ts");
  const isSwapped = isAction(first) && !(await appNames()).includes(first);
  const app = isSwapped ? second : first;
  if ((isSwapped && app === undefined) || app?.includes("=")) {
    const action = [first, second].find((word) => isAction(word)) ?? "set";
    throw new DpError("usage", "which app?", { hint: `dp env APP ${action}` });
  }
  return isSwapped ? [app!, first, ...rest] : [...words];
}

function only(words: readonly string[], question: string): string {
  if (words.length === 1) return words[0]!;
  throw new DpError("usage", question);
}

function fileAmong(words: readonly string[]): string | null {
  if (words[0] === "-" || (words.length === 0 && !process.stdin.isTTY)) return null;
  return only(words, "which file? dp env APP import FILE, or NAME=value lines on stdin");
}

function none(words: readonly string[]): void {
  if (words.length > 0) throw new DpError("usage", `unknown words: ${words.join(" ")}`, { hint: "dp env --help" });
}

function listed(app: string, settings: Record<string, string>, options: Options): void {
  const isShown = options["reveal"] === true;
  const entries = Object.entries(settings);
  // Not among the lines that a script reads.
  if (entries.length === 0) say(`${app} has no settings: dp env ${app} set NAME=value`);
  const value = Object.fromEntries(entries.map(([name, text]) => [name, isShown ? text : null]));
  answer(options, value, () => entries.map(([name, text]) => `${name}=${isShown ? text : MASK}`));
}

function changed(result: EnvChanged, options: Options): number {
  const { app, set, unset, file, restart } = result;
  const what = [...set.map((name) => `set ${name}`), ...unset.map((name) => `unset ${name}`)].join(", ");
  answer(options, result, () => {
    if (what === "") return [`nothing to change for ${app}`];
    // The log of a restart has said everything.
    return restart ? [] : [`${what} in ${file}; the next deploy uses it, or: dp restart ${app}`];
  });
  return restart?.code ?? 0;
}

/** The value of a secret setting: typed without echo, or all of stdin without its last line end. */
async function valueOf(app: string, name: string): Promise<string> {
  if (!process.stdin.isTTY) {
    const text = (await Bun.stdin.text()).replace(/\r?\n$/, "");
    if (text !== "") return text;
    throw new DpError("usage", `stdin is empty, so ${name} has no value`, {
      hint: `dp env ${app} set ${name}= sets it to an empty value, dp env ${app} unset ${name} removes it`,
    });
  }
  const { ask } = await import("./ask.ts");
  return ask(`${name} (what you type is not shown): `, true);
}
