// The words of other tools: `config:set APP A=1` is `env APP set A=1`.

/** Alias -> the command that it stands for, and what follows the app's name there. */
export const ALIASES: Readonly<Record<string, readonly [command: string, ...afterApp: string[]]>> = {
  "apps:create": ["setup"],
  "apps:destroy": ["destroy"],
  "apps:info": ["status"],
  "apps:list": ["apps"],
  "apps:lock": ["lock"],
  "apps:unlock": ["unlock"],
  "builds:cancel": ["cancel"],
  config: ["env", "list"],
  "config:get": ["env", "get"],
  "config:import": ["env", "import"],
  "config:list": ["env", "list"],
  "config:set": ["env", "set"],
  "config:show": ["env", "list"],
  "config:unset": ["env", "unset"],
  "env:get": ["env", "get"],
  "env:import": ["env", "import"],
  "env:list": ["env", "list"],
  "env:set": ["env", "set"],
  "env:unset": ["env", "unset"],
  "logs:failed": ["logs", "--failed"],
  "cron:list": ["cron"],
  "ps:report": ["ps"],
  "ps:restart": ["restart"],
  "ps:scale": ["scale"],
  "ps:start": ["start"],
  "ps:stop": ["stop"],
  "releases:list": ["releases"],
  "releases:rollback": ["rollback"],
};

/** The options that ask for help. */
export const HELP: readonly string[] = ["--help", "-h"];

/** The arguments of a process with `dp help COMMAND` as `dp COMMAND --help`; what follows the command has no part in it. */
export function withoutHelp(argv: readonly string[]): string[] {
  const [bun = "", dp = "", first, command] = argv;
  if (first !== "help" || command?.startsWith("-")) return [...argv];
  return [bun, dp, ...(command === undefined ? [] : [command]), "--help"];
}

/**
 * The arguments of a process with the alias, if any, replaced. What follows `dp run APP`, or a `--` with nothing but
 * options before it, is put behind a `--`: its options are not dp's.
 */
export function withoutAliases(argv: readonly string[]): string[] {
  const [bun = "", dp = "", first = "", ...rest] = argv;
  const [command, ...afterApp] = (Object.hasOwn(ALIASES, first) ? ALIASES[first] : undefined) ?? [first];
  const app = rest.findIndex((word) => !word.startsWith("-"));
  if (command === "run" && app >= 0) {
    const words = rest.slice(app + 1);
    const end = words.indexOf("--");
    const own = end >= 0 && words.slice(0, end).every((word) => word.startsWith("-")) ? words.slice(0, end) : null;
    const its = own === null ? words : words.slice(end + 1);
    return [bun, dp, command, ...rest.slice(0, app + 1), ...(own ?? []), "--", ...its];
  }
  if (command === first || app < 0) return command === "" ? [...argv] : [bun, dp, command, ...rest];
  return [bun, dp, command, ...rest.slice(0, app + 1), ...afterApp, ...rest.slice(app + 1)];
}
