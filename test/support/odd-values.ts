// Values of settings that a careless shell, unit file, container or JSON would change on the way, and an app whose build,
// hooks and job write down what arrived.
import { FAR } from "./far-schedule.ts";

export const ODD_VALUES: Readonly<Record<string, string>> = {
  SPACES: "  two  words ",
  DOLLAR: "$HOME ${HOME} $(id) `id` %h %%",
  QUOTES: `"double" 'single' \\ back\\nslash`,
  NEWLINE: "first\nsecond\n",
  UNICODE: "grüße 🚀",
  EQUALS: "a=b=c",
  EMPTY: "",
  HASH: "# none ; either",
  LONG: "0123456789abcdef".repeat(2_000),
};

/** Lines of deploy.yml for `DUMP`: its files are `build`, `pre`, `post` and, after `dp cron run APP dump`, `cron`. */
export const DUMPS = `build: ./dump.sh build
hooks: {preDeploy: ./dump.sh pre, postDeploy: ./dump.sh post}
cron: [{schedule: "${FAR}", command: ./dump.sh cron, name: dump}]
`;

/** A script of the app that writes its environment to a file in the app's home, as `env -0` does. */
export const DUMP = { "dump.sh": `#!/bin/sh\nenv -0 > "$HOME/$1"\n` };

/** The variables of a dump, or of /proc/PID/environ. */
export const valuesIn = (dump: string): Record<string, string> =>
  Object.fromEntries(
    dump
      .split("\0")
      .filter(Boolean)
      .map((entry) => [entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1)]),
  );
