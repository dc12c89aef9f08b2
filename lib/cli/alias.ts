// The words of other tools: `config:set APP A=1` is `env APP set A=1`; and advice for commands that dp lacks.
import { isAppName, places } from "../paths.ts";

/** Alias -> the command that it stands for, and the words after the app's name there. */
export const ALIASES: Readonly<Record<string, readonly [command: string, ...afterApp: string[]]>> = {
  "apps:create": ["setup"],
  "apps:destroy": ["destroy"],
  "apps:info": ["status"],
  "apps:list": ["apps"],
  "apps:lock": ["lock"],
  "apps:unlock": ["unlock"],
  "builds:cancel": ["cancel"],
  config: ["env"],
  "config:get": ["env", "get"],
  "config:import": ["env", "import"],
  "config:list": ["env", "list"],
  "config:set": ["env", "set"],
  "config:show": ["env", "list"],
  "config:unset": ["env", "unset"],
  "certs:add": ["domains", "cert"],
  "certs:auto": ["domains", "renew"],
  "domains:add": ["domains", "add"],
  "domains:clear": ["domains", "clear"],
  "domains:list": ["domains"],
  "domains:remove": ["domains", "remove"],
  "domains:report": ["domains"],
  "env:get": ["env", "get"],
  "env:import": ["env", "import"],
  "env:list": ["env", "list"],
  "env:set": ["env", "set"],
  "env:unset": ["env", "unset"],
  "maintenance:disable": ["maintenance", "off"],
  "maintenance:enable": ["maintenance", "on"],
  "maintenance:off": ["maintenance", "off"],
  "maintenance:on": ["maintenance", "on"],
  "maintenance:report": ["maintenance"],
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

/** A foreign command that dp has no word for -> what to type instead. */
const INSTEAD: Readonly<Record<string, (app: string) => string>> = {
  backup: (app) =>
    `dp keeps no backups; what an app keeps is in its folder: tar -C ${isAppName(app) ? places(app).base : "/opt/deployments/APP"} -czf ${app}.tar.gz shared`,
  bash: (app) => `dp run ${app} -- bash`,
  console: (app) => `dp run ${app} -- COMMAND, such as "python manage.py shell" or "node"`,
  create: (app) => `dp setup ${app}`,
  delete: (app) => `dp destroy ${app}`,
  exec: (app) => `dp run ${app} -- COMMAND`,
  history: (app) => `dp releases ${app}`,
  info: (app) => `dp status ${app}`,
  jobs: (app) => `dp cron ${app} lists what runs on a schedule, dp ps ${app} every process`,
  list: () => "dp apps",
  ls: () => "dp apps",
  open: (app) => `dp status ${app} prints its address`,
  push: () => "git push production main deploys, in the folder of the app",
  remove: (app) => `dp destroy ${app}`,
  revert: (app) => `dp rollback ${app}`,
  shell: (app) => `dp run ${app} -- sh`,
  "ssh-keys:add": () => "dp keys add NAME --app APP --role push < FILE.pub",
  "ssh-keys:list": () => "dp keys",
  "ssh-keys:remove": () => "dp keys remove NAME",
  ssh: (app) => `dp run ${app} -- sh`,
  tail: (app) => `dp logs ${app} -f`,
  undo: (app) => `dp rollback ${app}`,
  update: () => "dp upgrade",
  version: () => "dp --version",
};

/** What to type instead of another tool's command that dp does not have, otherwise null. */
export function insteadOf(word: string, app: string | undefined): string | null {
  return Object.hasOwn(INSTEAD, word) ? INSTEAD[word]!(isAppName(app ?? "") ? app! : "APP") : null;
}

/** The words of a command line, with `help COMMAND` as `COMMAND --help` and aliases replaced. */
export function inDpsWords(words: readonly string[]): string[] {
  const [first = "", ...rest] = withoutHelp(words);
  const [command, ...afterApp] = (Object.hasOwn(ALIASES, first) ? ALIASES[first] : undefined) ?? [first];
  if (command === "") return [];
  const app = rest.findIndex((word) => !word.startsWith("-"));
  if (app < 0) return [command, ...rest];
  return [command, ...rest.slice(0, app + 1), ...afterApp, ...rest.slice(app + 1)];
}

// Only a leading `help` counts.
function withoutHelp(words: readonly string[]): readonly string[] {
  const [first, command] = words;
  if (first !== "help" || command?.startsWith("-")) return words;
  return command === undefined ? ["--help"] : [command, "--help"];
}
